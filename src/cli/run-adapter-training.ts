import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import { servedWeights, type AdapterShape, type FrozenAdapter } from '../train/adapter/adapter.js';
import type { Backbone } from '../train/adapter/backbone.js';
import { createAdapterStep } from '../train/adapter/step.js';
import { createAdapterValidation } from '../train/adapter/validate-adapter.js';
import {
  createFeatureBatches,
  embedPlain,
  embedViews,
  meanOf,
  viewOf,
} from '../train/adapter/view-features.js';
import type { AdapterConfig } from '../train/config/schema.js';
import { stepOptionsIn } from '../train/config/step-options.js';
import type { DecodedImages } from '../train/images.js';
import type { TrainingState } from '../train/learner.js';
import type { EndReason, Figures } from '../train/loop.js';
import { openRunFolder } from '../train/run-folder.js';
import { createSampler, placeAfter } from '../train/sampler.js';
import type { AdapterData } from './adapter-data.js';
import { createSay, driveTraining } from './drive-training.js';

export interface AdapterTrainingOptions {
  readonly config: AdapterConfig & { readonly threads: number };
  readonly hash: string;
  readonly backbone: Backbone;
  readonly data: AdapterData;
  /** Of the run. */
  readonly dir: string;
  readonly fresh: boolean;
  readonly progress: Progress;
}

export interface TrainedAdapter {
  readonly ended: EndReason;
  readonly step: number;
  readonly adapter: FrozenAdapter;
  readonly metrics: Figures;
  readonly history: readonly Figures[];
}

/** Embeds all views once, trains an adapter on them, going on where its run folder left off, and takes the best weights. */
export async function runAdapterTraining(options: AdapterTrainingOptions): Promise<TrainedAdapter> {
  const { config, hash, backbone, data, progress } = options;
  const { name, seed, threads } = config;
  const { plain, stored, validation: held } = data;
  const folder = await openRunFolder({ dir: options.dir, config: { name, hash }, fresh: options.fresh });
  const closing: (() => Promise<void>)[] = [() => folder.release()];
  try {
    const shape = shapeOf(config, backbone);
    const { encoder } = backbone;
    const embedded = await embedViews({
      ...config,
      backbone: encoder,
      plain,
      stored,
      operations: config.augment,
      progress,
    });
    const references = viewOf(embedded, 0);
    const queries = held === undefined ? undefined : await embedPlain(encoder, held, progress);
    const centre = meanOf(references);
    const classes = plain.labelNames.length;
    const batch = Math.min(config.batch, plain.count);
    const sampler = createSampler({ ...config, ...plain, kind: config.sampler, classes, batch });
    const batchOf = createFeatureBatches({ embedded, labels: plain.labels, classes, sampler, seed });
    const learner = await createAdapterStep({
      shape,
      centre,
      views: 2 * batch,
      classes,
      ...stepOptionsIn(config),
    });
    closing.push(() => learner.release());
    const { last } = folder;
    if (last !== undefined) learner.load({ steps: last.step, vectors: last.tensors });

    const validation = createAdapterValidation({
      vote: config.validation,
      references,
      queries,
      labels: [labelsOf(plain), held === undefined ? [] : labelsOf(held)],
      threads,
      seed,
    });
    const frozen = ({ vectors }: Pick<TrainingState, 'vectors'>): FrozenAdapter => ({
      shape,
      centre,
      weights: servedWeights(vectors),
    });

    const say = createSay(folder);
    const alone = await validation.alone();
    for (const [figure, value] of Object.entries(alone)) await say(`backbone: ${figure} ${value.toFixed(4)}`);
    let place = last?.place ?? { epoch: 0, step: 0 };
    const result = await driveTraining({
      config,
      hash,
      learner,
      batchesPerEpoch: sampler.batchesPerEpoch,
      nextBatch: async () => {
        const made = batchOf(place);
        place = placeAfter(place, sampler.batchesPerEpoch);
        // The graph runs on this thread: without a pause no signal would be heard.
        await new Promise(setImmediate);
        return made;
      },
      validate: queries === undefined ? undefined : (state) => validation.of(frozen(state)),
      folder,
      images: plain.count,
      batch,
      threads,
      say,
    });
    const { best } = result;
    const adapter = frozen({ vectors: best.tensors });
    const figures = await validation.of(adapter);
    const { metric } = config.validation;
    if ((figures[metric] ?? 0) < (alone[metric] ?? 0)) {
      await say(`nearvote: by ${metric} the adapter is worse than the backbone alone; do not serve it`);
    }
    const before = Object.entries(alone).map(([figure, value]) => [`backbone: ${figure}`, value] as const);
    return {
      ended: result.ended,
      step: result.last.step,
      adapter,
      metrics: {
        ...figures,
        ...Object.fromEntries(before),
        steps: best.step,
        seconds: Math.round(result.last.elapsedSeconds),
      },
      history: result.last.history,
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** @throws NearvoteError `config_invalid` for more dimensions than the backbone has */
function shapeOf({ adapter }: AdapterConfig, { manifest }: Backbone): AdapterShape {
  const features = manifest.output.dimension;
  const { kind, dimension = features } = adapter;
  if (dimension > features) {
    throw new NearvoteError(
      'config_invalid',
      `Expected adapter.dimension to be at most ${features}, that of backbone ${manifest.name}, but received ${dimension}`,
    );
  }
  return { kind, features, dimension, hidden: kind === 'mlp' ? adapter.hidden : 0 };
}

function labelsOf({ labels, labelNames }: DecodedImages): string[] {
  return Array.from(labels, (label) => labelNames[label] ?? '');
}
