import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { writing } from '../files/durable.js';
import { isAdapterConfig, readConfig } from '../train/config/read-config.js';
import { parseBudget } from '../train/config/schema.js';
import { endings } from '../train/describe-run.js';
import type { TrainResult } from '../train/run-training.js';
import { integerFrom } from './options.js';
import { createNarration, createProgress } from './output.js';
import { print } from './printable.js';
import { watchSignals } from './stop-signals.js';

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
  const stop = watchSignals('stopping after this step; once more to stop at once');
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

function printTrained(trained: TrainResult, { json }: Pick<TrainFlags, 'json'>): void {
  const { out, ended, metrics, warning } = trained;
  if (json === true) return print(JSON.stringify({ out, ended, metrics, warning }));
  print(`${out} is written: ${endings[ended]}\n`);
  const width = Math.max(...Object.keys(metrics).map(({ length }) => length));
  for (const [name, value] of Object.entries(metrics)) {
    print(`  ${name.padEnd(width)}  ${Number.isInteger(value) ? value : value.toFixed(4)}`);
  }
  print(`\n${warning ?? `Next: npx nearvote build --data DIR --encoder ${out} --out index/NAME`}`);
}

interface TrainFlags {
  /** The folder of an encoder. */
  readonly backbone?: string;
  readonly out?: string;
  readonly run?: string;
  /** In seconds. */
  readonly budget?: number;
  readonly threads?: number;
  readonly preview?: string;
  readonly fresh?: true;
  readonly force?: true;
  readonly json?: true;
}

/** The options of `nearvote train`, each also an environment variable. */
function trainOptions(): Option[] {
  return [
    new Option('--backbone <dir>', 'train an adapter on this encoder, which stays as it is').env(
      'NEARVOTE_TRAIN_BACKBONE',
    ),
    new Option('--out <dir>', 'folder to write the encoder to (default: models/NAME)').env(
      'NEARVOTE_TRAIN_OUT',
    ),
    new Option(
      '--run <dir>',
      'folder of the checkpoints and the log of this training (default: runs/NAME)',
    ).env('NEARVOTE_TRAIN_RUN'),
    new Option(
      '--budget <duration>',
      'such as 2h: the schedule ends by then, whatever epochs the config says',
    )
      .argParser(budget)
      .env('NEARVOTE_TRAIN_BUDGET'),
    new Option('--threads <n>', "threads of a training step, in place of the config's")
      .argParser(integerFrom(1))
      .env('NEARVOTE_TRAIN_THREADS'),
    new Option('--preview <file>', 'write a PNG of augmented views and train nothing').env(
      'NEARVOTE_TRAIN_PREVIEW',
    ),
    new Option('--fresh', 'begin anew even where there are checkpoints').env('NEARVOTE_TRAIN_FRESH'),
    new Option('--force', 'replace the whole folder of an encoder that is there').env('NEARVOTE_TRAIN_FORCE'),
    new Option('--json', 'print the figures as JSON').env('NEARVOTE_JSON'),
  ];
}

function budget(value: string): number {
  const seconds = parseBudget(value);
  if (seconds === undefined) throw new InvalidArgumentError('Expected a duration such as 2h, 90m or 1h30m.');
  return seconds;
}
