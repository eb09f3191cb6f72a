import type { Progress } from '../domain/progress.js';
import type { ArchitectureOptions } from '../train/architecture.js';
import type { TrainConfig } from '../train/config/schema.js';
import { stepOptionsIn } from '../train/config/step-options.js';
import { freeze, type FrozenEncoder } from '../train/freeze.js';
import type { TrainingState } from '../train/learner.js';
import type { EndReason, Figures } from '../train/loop.js';
import { openRunFolder } from '../train/run-folder.js';
import { createSampler } from '../train/sampler.js';
import { createTrainingStep } from '../train/step.js';
import { openFrozen, validate } from '../train/validate.js';
import { createViewPool } from '../train/views.js';
import { createSay, driveTraining } from './drive-training.js';
import { viewOptions, type TrainingData } from './train-data.js';

export interface TrainEncoderOptions {
  readonly config: TrainConfig;
  readonly hash: string;
  readonly data: TrainingData;
  /** Of the run. */
  readonly dir: string;
  readonly fresh: boolean;
  readonly progress: Progress;
}

export interface TrainedEncoder {
  readonly ended: EndReason;
  readonly step: number;
  readonly model: Uint8Array;
  readonly dimension: number;
  readonly metrics: Figures;
  readonly history: readonly Figures[];
}

/** So that a validation during training takes seconds; the last one is over everything. */
const mostWhileTraining = { mostReferences: 10_000, mostQueries: 2_000 };

/** Trains by a config, going on where its run folder left off, and freezes the best weights. */
export async function trainEncoder(options: TrainEncoderOptions): Promise<TrainedEncoder> {
  const { config, hash, data, progress } = options;
  const { images, validation, statistics } = data;
  const { name, seed, model, threads = 1 } = config;
  const folder = await openRunFolder({ dir: options.dir, config: { name, hash }, fresh: options.fresh });
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
      say: createSay(folder),
    });
    const { best } = result;
    const state: TrainingState = { steps: best.step, vectors: best.tensors };
    const { bytes, dimension } = frozenAt(state, false);
    const metrics = result.ended === 'stopped' ? {} : await measure(state, {});
    return {
      ended: result.ended,
      step: result.last.step,
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
