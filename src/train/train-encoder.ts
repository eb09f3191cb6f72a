import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { checkPlace, publishFolder } from '../encoder/add/publish.js';
import type { ArchitectureOptions } from './architecture.js';
import { hashConfig, parseTrainConfig } from './config/read-config.js';
import type { TrainConfig } from './config/schema.js';
import { loadTrainingData, viewOptions, type TrainingData } from './data.js';
import { encoderFiles } from './encoder-files.js';
import { freeze, type FrozenEncoder } from './freeze.js';
import type { TrainingState } from './learner.js';
import type { Figures } from './loop.js';
import { drawViews } from './preview.js';
import { openRunFolder } from './run-folder.js';
import {
  driveTraining,
  requireEnd,
  stepOptionsIn,
  stoppable,
  type TrainOptions,
  type TrainResult,
} from './run-training.js';
import { createSampler } from './sampler.js';
import { createTrainingStep } from './step.js';
import { openFrozen, validate } from './validate.js';
import { createViewPool } from './views.js';

export interface TrainEncoderOptions extends TrainOptions {
  /** The file of the threads that make views; the one beside views.js unless told. */
  readonly viewWorker?: URL | undefined;
}

/**
 * Trains an encoder from scratch by a config and writes its folder, going on where its run folder left off.
 * @throws NearvoteError `shutting_down` where it was told to stop: the same options go on from there
 */
export async function trainEncoder(options: TrainEncoderOptions): Promise<TrainResult> {
  const { text, file } = options.config;
  const written = parseTrainConfig(text, file);
  const hash = hashConfig(written);
  const config: TrainConfig = {
    ...written,
    budget: options.budget ?? written.budget,
    threads: options.threads ?? written.threads ?? availableParallelism(),
  };
  const { name, version, licence, model } = config;
  const { out = join('models', name), run = join('runs', name), force = false } = options;
  await checkPlace(out, force);
  const data = await loadTrainingData({ config, file: options.config.file, told: stoppable(options) });
  const trained = await trainNetwork({ ...options, config, hash, data, run });
  const { ended, metrics } = trained;
  const files = await encoderFiles({
    name,
    version,
    licence,
    trainedOn: [data.name],
    trainedImages: { fingerprints: data.images.fingerprints, datasets: [data.name] },
    model: trained.model,
    input: { size: model.inputSize, fit: model.fit, kernel: model.kernel },
    dimension: trained.dimension,
    metrics,
    config: { text, hash },
    architecture: [model.architecture, ...(model.widths === undefined ? [] : [model.widths.join(', ')])].join(
      ' ',
    ),
    images: `${data.images.count} images of ${data.images.labelNames.length} labels`,
    figures:
      'Figures after "head: " are those of the projections that the loss compared; the head is not part of this encoder.',
    history: trained.history,
  });
  await publishFolder({ dir: out, files, force });
  return { out, ended, metrics };
}

/** A PNG of views as the training of an encoder sees them. */
export async function previewEncoder(
  options: Pick<TrainOptions, 'config' | 'progress' | 'narration' | 'stop'>,
): Promise<Uint8Array> {
  const config = parseTrainConfig(options.config.text, options.config.file);
  const { images } = await loadTrainingData({ config, file: options.config.file, told: stoppable(options) });
  return drawViews({ ...config, images, operations: config.augment, inputSize: config.model.inputSize });
}

interface NetworkOptions extends Omit<TrainEncoderOptions, 'config' | 'run'> {
  readonly config: TrainConfig;
  readonly hash: string;
  readonly data: TrainingData;
  readonly run: string;
}

interface TrainedNetwork {
  readonly ended: TrainResult['ended'];
  readonly model: Uint8Array;
  readonly dimension: number;
  readonly metrics: Figures;
  readonly history: readonly Figures[];
}

/** So that a validation during training takes seconds; the last one is over everything. */
const mostWhileTraining = { mostReferences: 10_000, mostQueries: 2_000 };

/** Trains by a config, going on where its run folder left off, and freezes the best weights. */
async function trainNetwork(options: NetworkOptions): Promise<TrainedNetwork> {
  const { config, hash, data, progress, narration, stop } = options;
  const { images, validation, statistics } = data;
  const { name, seed, model, threads = 1 } = config;
  const folder = await openRunFolder({
    dir: options.run,
    config: { name, hash },
    fresh: options.fresh ?? false,
  });
  const closing: (() => Promise<void>)[] = [() => folder.release()];
  try {
    const network = {
      architecture: architectureIn(model),
      inputSize: { height: model.inputSize, width: model.inputSize },
      ...statistics,
    };
    const learner = await createTrainingStep({
      ...network,
      views: 2 * config.batch,
      classes: images.labelNames.length,
      ...stepOptionsIn(config),
    });
    closing.push(() => learner.release());
    const { last } = folder;
    if (last !== undefined) learner.load({ steps: last.step, vectors: last.tensors });

    const sampler = createSampler({
      ...config,
      ...images,
      kind: config.sampler,
      classes: images.labelNames.length,
    });
    const views = createViewPool({
      views: viewOptions(config, images),
      sampler,
      from: last?.place ?? { epoch: 0, step: 0 },
      workers: config.workers,
      workerFile: options.viewWorker,
    });
    closing.push(() => views.close());

    const frozenAt = (state: TrainingState, head: boolean): FrozenEncoder =>
      freeze({ ...network, state, weights: config.ema === undefined ? 'last' : 'ema', head });
    const measure = async (
      state: TrainingState,
      most: Partial<typeof mostWhileTraining>,
    ): Promise<Figures> => {
      if (validation === undefined) return {};
      const models = { features: frozenAt(state, false).bytes, projections: frozenAt(state, true).bytes };
      const frozen = await openFrozen({ models, size: model.inputSize, threads });
      try {
        const { k, temperature } = config.validation;
        return await validate({
          embed: (pixels, count) => frozen.embed(pixels, count),
          inputSize: model.inputSize,
          references: images,
          queries: validation,
          ...most,
          vote: { k, temperature },
          threads,
          seed,
          progress,
        });
      } finally {
        await frozen.close();
      }
    };

    const result = await driveTraining({
      config,
      hash,
      learner,
      batchesPerEpoch: sampler.batchesPerEpoch,
      nextBatch: () => views.next(),
      validate: validation === undefined ? undefined : (state) => measure(state, mostWhileTraining),
      folder,
      images: images.count,
      batch: config.batch,
      threads,
      narration,
      stop,
    });
    const { best } = result;
    const state: TrainingState = { steps: best.step, vectors: best.tensors };
    const { bytes, dimension } = frozenAt(state, false);
    const ended = requireEnd(result.ended, result.last.step);
    const metrics = await measure(state, {});
    return {
      ended,
      model: bytes,
      dimension,
      metrics: { ...metrics, steps: best.step, seconds: Math.round(result.last.elapsedSeconds) },
      history: result.last.history,
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

function architectureIn({ architecture: name, widths }: TrainConfig['model']): ArchitectureOptions {
  return name === 'compact' ? { name, widths } : { name, width: widths?.[0] };
}
