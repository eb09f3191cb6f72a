import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Embeddings } from '../../domain/embeddings.js';
import { NearvoteError } from '../../domain/errors.js';
import { joinFingerprints } from '../../domain/fingerprints.js';
import type { Progress } from '../../domain/progress.js';
import { checkPlace, publishFolder } from '../../encoder/add/publish.js';
import { hashConfig, parseAdapterConfig } from '../config/read-config.js';
import type { AdapterConfig } from '../config/schema.js';
import { encoderFiles } from '../encoder-files.js';
import type { DecodedImages } from '../images.js';
import type { TrainingState } from '../learner.js';
import type { Figures } from '../loop.js';
import { drawViews } from '../preview.js';
import { openRunFolder } from '../run-folder.js';
import {
  createSay,
  driveTraining,
  requireEnd,
  stepOptionsIn,
  stoppable,
  type TrainOptions,
  type TrainResult,
} from '../run-training.js';
import { createSampler, placeAfter } from '../sampler.js';
import { measureEmbeddings, type ValidateOptions } from '../validate.js';
import { runAdapter, servedWeights, type AdapterShape, type FrozenAdapter } from './adapter.js';
import { attachAdapter, proveAttached } from './attach.js';
import { openBackbone, type Backbone } from './backbone.js';
import { loadAdapterData, type AdapterData } from './data.js';
import { createAdapterStep } from './step.js';
import { createFeatureBatches, embedPlain, embedViews, meanOf, viewOf } from './view-features.js';

export interface TrainAdapterOptions extends TrainOptions {
  /** The folder of an encoder, in place of the config's. */
  readonly backbone?: string | undefined;
}

/**
 * Trains an adapter on an encoder that stays as it is and writes both as one encoder's folder, going on where its run
 * folder left off.
 * @throws NearvoteError `usage` without a backbone; `shutting_down` where it was told to stop: the same options go on from there
 */
export async function trainAdapter(options: TrainAdapterOptions): Promise<TrainResult> {
  const { text } = options.config;
  const startedAt = performance.now();
  const { written, config, folder } = readOptions(options);
  const { name, threads } = config;
  const { out = join('models', name), run = join('runs', name), force = false } = options;
  await checkPlace(out, force);
  const backbone = await openBackbone(folder, { threads });
  try {
    const data = await loadAdapterData({
      config,
      file: options.config.file,
      backbone,
      told: stoppable(options),
    });
    // A folder's name does not decide what is trained; its encoder does.
    const hash = hashConfig({ ...written, backbone: backbone.manifest.sha256 });
    const trained = await trainWeights({ ...options, config, hash, backbone, data, run, startedAt });
    const files = await filesOf({ config, hash, text, backbone, data, trained });
    await publishFolder({ dir: out, files, force });
    return { out, ended: trained.ended, metrics: trained.metrics, warning: trained.warning };
  } finally {
    await backbone.encoder.close();
  }
}

/** A PNG of views as the training of an adapter sees them. */
export async function previewAdapter(
  options: Pick<TrainAdapterOptions, 'backbone' | 'config' | 'threads' | 'progress' | 'narration' | 'stop'>,
): Promise<Uint8Array> {
  const { config, folder } = readOptions(options);
  const backbone = await openBackbone(folder, config);
  try {
    const { stored } = await loadAdapterData({
      config,
      file: options.config.file,
      backbone,
      told: stoppable(options),
    });
    return await drawViews({
      ...config,
      images: stored,
      operations: config.augment,
      inputSize: backbone.size,
    });
  } finally {
    await backbone.encoder.close();
  }
}

function readOptions(options: Pick<TrainAdapterOptions, 'backbone' | 'config' | 'threads' | 'budget'>) {
  const { text, file } = options.config;
  const written = parseAdapterConfig(text, file);
  const threads = options.threads ?? written.threads ?? availableParallelism();
  const config = { ...written, budget: options.budget ?? written.budget, threads };
  const folder = options.backbone ?? written.backbone;
  if (folder === undefined) {
    throw new NearvoteError(
      'usage',
      `Expected --backbone DIR, or backbone: in ${file}, the encoder to train an adapter on`,
    );
  }
  return { written, config, folder };
}

interface FilesOptions {
  readonly config: AdapterConfig;
  readonly hash: string;
  /** The config's. */
  readonly text: string;
  readonly backbone: Backbone;
  readonly data: AdapterData;
  readonly trained: TrainedWeights;
}

const imagesToProve = 8;

async function filesOf(options: FilesOptions): Promise<Readonly<Record<string, Uint8Array | string>>> {
  const { config, hash, text, backbone, data, trained } = options;
  const { manifest, size, fit, kernel } = backbone;
  const { adapter } = trained;
  const model = attachAdapter({ model: backbone.model, manifest, adapter });
  const count = Math.min(imagesToProve, data.plain.count);
  // A copy: the runtime takes no memory that threads share.
  const pixels = new Uint8Array(data.plain.pixels, 0, count * size * size * 3).slice();
  await proveAttached({ backbone, adapter, model, pixels, count });
  const { kind, features, dimension, hidden } = adapter.shape;
  return encoderFiles({
    name: config.name,
    version: config.version,
    licence: config.licence ?? manifest.licence,
    trainedOn: [...new Set([...manifest.trainedOn, data.name])],
    trainedImages: trainedImagesOf(backbone, data),
    model,
    input: { size, fit, kernel },
    dimension,
    metrics: trained.metrics,
    config: { text, hash },
    architecture:
      `the encoder ${manifest.name} ${manifest.version} (sha256 ${manifest.sha256}), as it was, and an adapter behind it: ` +
      (kind === 'linear'
        ? `a linear map of ${features} to ${dimension}`
        : `a linear map of ${features} to ${dimension} and beside it ${hidden} hidden units`),
    images: `the adapter on ${data.plain.count} images of ${data.plain.labelNames.length} labels`,
    figures:
      'Figures after "backbone: " are those of the backbone alone on the same images, without the adapter; seconds are of the ' +
      'whole command, embedding included.',
    history: trained.history,
  });
}

/** Those of the backbone, as far as it keeps them, and those of the adapter. */
function trainedImagesOf({ manifest, fingerprints }: Backbone, { name, plain }: AdapterData) {
  const kept = fingerprints === undefined ? [] : (manifest.trainedImages?.datasets ?? []);
  const unkept = manifest.trainedOn.filter((dataset) => !kept.includes(dataset));
  return {
    fingerprints: joinFingerprints([fingerprints ?? new Uint8Array(), plain.fingerprints]),
    // The adapter may have seen a part only of a dataset whose other images the backbone saw, and did not keep.
    datasets: [...new Set([...kept, name])].filter((dataset) => !unkept.includes(dataset)),
  };
}

interface WeightsOptions extends Omit<TrainAdapterOptions, 'config' | 'backbone' | 'run'> {
  readonly config: AdapterConfig & { readonly threads: number };
  readonly hash: string;
  readonly backbone: Backbone;
  readonly data: AdapterData;
  readonly run: string;
  /** By `performance.now()`, of the whole command. */
  readonly startedAt: number;
}

interface TrainedWeights {
  readonly ended: TrainResult['ended'];
  readonly adapter: FrozenAdapter;
  readonly metrics: Figures;
  readonly warning: string | undefined;
  readonly history: readonly Figures[];
}

/** Embeds all views once, trains an adapter on them, going on where its run folder left off, and takes the best weights. */
async function trainWeights(options: WeightsOptions): Promise<TrainedWeights> {
  const { config, hash, backbone, data, narration, stop, startedAt } = options;
  const { progress } = stoppable(options);
  const { name, seed, threads } = config;
  const { plain, stored, validation: held } = data;
  const folder = await openRunFolder({
    dir: options.run,
    config: { name, hash },
    fresh: options.fresh ?? false,
  });
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

    const say = createSay(folder, narration);
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
      narration,
      stop,
    });
    const ended = requireEnd(result.ended, result.last.step);
    const { best } = result;
    const adapter = frozen({ vectors: best.tensors });
    const figures = await validation.of(adapter);
    const warning = warningOf(figures, alone, config.validation.metric);
    if (warning !== undefined) await folder.log(warning);
    const before = Object.entries(alone).map(([figure, value]) => [`backbone: ${figure}`, value] as const);
    return {
      ended,
      adapter,
      metrics: {
        ...figures,
        ...Object.fromEntries(before),
        steps: best.step,
        // Embedding the views takes longer than training on them does.
        seconds: Math.round((performance.now() - startedAt) / 1000 + (last?.elapsedSeconds ?? 0)),
      },
      warning,
      history: result.last.history,
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** Where an adapter gained nothing, as far as the images that were held out tell. */
function warningOf(figures: Figures, alone: Figures, metric: string): string | undefined {
  const [after = NaN, before = NaN] = [figures[metric], alone[metric]];
  if (!(after <= before)) return undefined;
  return (
    `The adapter is no better than the encoder alone on the held-out images (${metric} ${after.toFixed(4)} against ` +
    `${before.toFixed(4)}): keep the encoder.`
  );
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

interface AdapterValidationOptions extends Pick<ValidateOptions, 'vote' | 'threads' | 'seed'> {
  /** The backbone's embeddings of the images that vote. */
  readonly references: Embeddings;
  /** And of those that are asked about; left out, there are no figures. */
  readonly queries: Embeddings | undefined;
  /** Of the references and of the queries. */
  readonly labels: readonly [readonly string[], readonly string[]];
}

/** What the neighbours are worth, by the same metrics before the adapter and after it. */
interface AdapterValidation {
  /** Of the backbone by itself. */
  alone(): Promise<Figures>;
  of(adapter: FrozenAdapter): Promise<Figures>;
}

function createAdapterValidation(options: AdapterValidationOptions): AdapterValidation {
  const { references, queries, labels: labelled } = options;

  async function measure(embed: (rows: Embeddings) => Promise<Embeddings> | Embeddings): Promise<Figures> {
    if (queries === undefined) return {};
    const [known, asked] = [await embed(references), await embed(queries)];
    return measureEmbeddings(
      { ...options, progress: silent },
      { references: known, queries: asked, labelled },
    );
  }

  return {
    alone: () => measure((rows) => rows),
    of: (adapter) => measure((rows) => runAdapter(adapter, rows, options)),
  };
}

/** It takes well under a second. */
const silent: Progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
