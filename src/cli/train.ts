import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { checkPlace } from '../encoder/add/publish.js';
import { hashConfig, isAdapterConfig, parseTrainConfig, readConfig } from '../train/config/read-config.js';
import type { TrainConfig } from '../train/config/schema.js';
import { encoderFiles } from '../train/encoder-files.js';
import { createProgress } from './progress.js';
import { publishTrained } from './publish-trained.js';
import { loadTrainingData } from './train-data.js';
import { trainOptions, type TrainFlags } from './train-options.js';
import { writePreview } from './train-preview.js';

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
  if (flags.backbone !== undefined || isAdapterConfig(text)) {
    const { trainAdapter } = await import('./train-adapter.js');
    return trainAdapter({ text, file }, flags);
  }
  const written = parseTrainConfig(text, file);
  const hash = hashConfig(written);
  const config: TrainConfig = {
    ...written,
    budget: flags.budget ?? written.budget,
    threads: flags.threads ?? written.threads ?? availableParallelism(),
  };
  const out = flags.out ?? join('models', config.name);
  if (flags.preview === undefined) await checkPlace(out, flags.force ?? false);
  const progress = createProgress();
  const data = await loadTrainingData(config, progress);
  if (flags.preview !== undefined) {
    const views = { ...config, operations: config.augment, inputSize: config.model.inputSize };
    return writePreview(flags.preview, { images: data.images, ...views });
  }

  const { trainEncoder } = await import('./train-encoder.js');
  const trained = await trainEncoder({
    config,
    hash,
    data,
    dir: flags.run ?? join('runs', config.name),
    fresh: flags.fresh ?? false,
    progress,
  });
  const { name, version, licence, model } = config;
  await publishTrained(trained, { ...flags, out }, () =>
    encoderFiles({
      name,
      version,
      licence,
      trainedOn: [data.name],
      model: trained.model,
      input: { size: model.inputSize, fit: model.fit, kernel: model.kernel },
      dimension: trained.dimension,
      metrics: trained.metrics,
      config: { text, hash },
      architecture: [
        model.architecture,
        ...(model.widths === undefined ? [] : [model.widths.join(', ')]),
      ].join(' '),
      images: `${data.images.count} images of ${data.images.labelNames.length} labels`,
      figures:
        'Figures after "head: " are those of the projections that the loss compared; the head is not part of this encoder.',
      history: trained.history,
    }),
  );
}
