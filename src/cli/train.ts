import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { writing } from '../files/durable.js';
import { isAdapterConfig, readConfig } from '../train/config/read-config.js';
import { endings } from '../train/describe-run.js';
import type { TrainResult } from '../train/run-training.js';
import { createNarration } from './narration.js';
import { createProgress } from './progress.js';
import { watchSignals } from './stop-signals.js';
import { trainOptions, type TrainFlags } from './train-options.js';
import { print } from './printable.js';

const example = `
Data paths in the config are taken from where the command runs. A training that was stopped or killed goes on from its
last checkpoint with the same command.

With --backbone the encoder in that folder stays as it is, and a small adapter on its embeddings is trained: minutes on a
CPU, and enough for some classes of a hundred photos each.

Example:
  $ nearvote train configs/photos.yml --budget 30m
  $ nearvote train --backbone models/cifar10-compact configs/adapter.yml
`;

export function trainCommand(): Command {
  const command = new Command('train')
    .description('train an encoder with supervised contrastive loss on labelled images')
    .argument('<config>', 'a YAML file, such as those in configs/')
    .addHelpText('after', example)
    .action(train);
  for (const option of trainOptions()) command.addOption(option);
  return command;
}

async function train(file: string, flags: TrainFlags): Promise<void> {
  const text = await readConfig(file);
  const { trains, draws } = await operationsFor(flags.backbone !== undefined || isAdapterConfig(text));
  const stop = watchSignals();
  const progress = createProgress();
  const options = {
    ...flags,
    config: { text, file },
    progress,
    narration: createNarration(),
    stop: stop.signal,
  };
  try {
    if (flags.preview === undefined) return printTrained(await trains(options), flags);
    const png = await draws(options);
    await writing(dirname(flags.preview), () => writeFile(flags.preview ?? '', png));
    print(`${flags.preview}: each row an image, then views of it as training sees them`);
  } finally {
    stop.unwatch();
  }
}

/** Loaded when they are needed: the help of every command starts without ONNX Runtime. */
async function operationsFor(adapter: boolean) {
  if (adapter) {
    const { trainAdapter, previewAdapter } = await import('../train/adapter/train-adapter.js');
    return { trains: trainAdapter, draws: previewAdapter };
  }
  const { trainEncoder, previewEncoder } = await import('../train/train-encoder.js');
  return { trains: trainEncoder, draws: previewEncoder };
}

function printTrained({ out, ended, metrics }: TrainResult, { json }: Pick<TrainFlags, 'json'>): void {
  if (json === true) return print(JSON.stringify({ out, ended, metrics }));
  print(`${out} is written: ${endings[ended]}\n`);
  const width = Math.max(...Object.keys(metrics).map(({ length }) => length));
  for (const [name, value] of Object.entries(metrics)) {
    print(`  ${name.padEnd(width)}  ${Number.isInteger(value) ? value : value.toFixed(4)}`);
  }
  print(`\nNext: nearvote build --data DIR --encoder ${out} --out index/NAME`);
}
