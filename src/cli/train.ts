import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { checkPlace, publishFolder } from '../encoder/add/publish.js';
import { NearvoteError } from '../domain/errors.js';
import { writing } from '../neighbours/publish.js';
import { readTrainConfig } from '../train/config/read-config.js';
import type { TrainConfig } from '../train/config/schema.js';
import { endings } from '../train/describe-run.js';
import { encoderFiles } from '../train/encoder-files.js';
import { drawPreview } from '../train/preview.js';
import { createSampler } from '../train/sampler.js';
import { createProgress } from './progress.js';
import { trainEncoder } from './train-encoder.js';
import { loadTrainingData, viewOptions, type TrainingData } from './train-data.js';
import { trainOptions, type TrainFlags } from './train-options.js';

const example = `
Data paths in the config are taken from where the command runs. A training that was stopped or killed goes on from its
last checkpoint with the same command.

Example:
  $ nearvote train configs/photos.yml --budget 30m
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
  const { config: written, hash } = await readTrainConfig(file);
  const config: TrainConfig = {
    ...written,
    budget: flags.budget ?? written.budget,
    threads: flags.threads ?? written.threads ?? availableParallelism(),
  };
  const out = flags.out ?? join('models', config.name);
  const force = flags.force ?? false;
  if (flags.preview === undefined) await checkPlace(out, force);
  const progress = createProgress();
  const data = await loadTrainingData(config, progress);
  if (flags.preview !== undefined) return preview(flags.preview, config, data);

  const trained = await trainEncoder({
    config,
    hash,
    data,
    dir: flags.run ?? join('runs', config.name),
    fresh: flags.fresh ?? false,
    progress,
  });
  if (trained.ended === 'stopped') {
    throw new NearvoteError('shutting_down', `stopped at step ${trained.step}: ${endings.stopped}`);
  }
  const { name, version, licence, model } = config;
  const files = encoderFiles({
    name,
    version,
    licence,
    trainedOn: data.name,
    model: trained.model,
    input: { size: model.inputSize, fit: model.fit, kernel: model.kernel },
    dimension: trained.dimension,
    metrics: trained.metrics,
    config: { text: await readFile(file, 'utf8'), hash },
    architecture: [model.architecture, ...(model.widths === undefined ? [] : [model.widths.join(', ')])].join(
      ' ',
    ),
    images: `${data.images.count} images of ${data.images.labelNames.length} labels`,
    history: trained.history,
  });
  await publishFolder({ dir: out, files, force });
  report({ out, ended: trained.ended, metrics: trained.metrics }, flags.json);
}

async function preview(file: string, config: TrainConfig, { images }: TrainingData): Promise<void> {
  const png = await drawPreview({
    views: viewOptions(config, images),
    sampler: createSampler({ ...images, classes: images.labelNames.length, kind: config.sampler, ...config }),
    rows: 12,
    columns: 8,
  });
  await writing(dirname(file), () => writeFile(file, png));
  console.log(`${file}: each row an image, then views of it as training sees them`);
}

function report(
  trained: {
    readonly out: string;
    readonly ended: keyof typeof endings;
    readonly metrics: Readonly<Record<string, number>>;
  },
  json = false,
): void {
  if (json) return console.log(JSON.stringify(trained));
  const { out, ended, metrics } = trained;
  const width = Math.max(...Object.keys(metrics).map(({ length }) => length));
  console.log(`${out} is written: ${endings[ended]}\n`);
  for (const [name, value] of Object.entries(metrics)) {
    console.log(`  ${name.padEnd(width)}  ${Number.isInteger(value) ? value : value.toFixed(4)}`);
  }
  console.log(`\nNext: nearvote build --data DIR --encoder ${out} --out index/NAME`);
}
