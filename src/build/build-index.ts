import { realpath } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { noneLabel } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { encoderIdentity, type EncoderManifest } from '../encoder/manifest.js';
import type { Dataset } from '../image/dataset/dataset.js';
import type { Decoder } from '../image/decode.js';
import type { EncoderPool } from '../encoder/pool/pool.js';
import {
  createHnswBuilder,
  loadHnswModule,
  type HnswModule,
  type HnswParameters,
} from '../neighbours/hnsw.js';
import { servedCalibration } from '../examples/calibration-file.js';
import { contentDigest, type IndexManifest } from '../examples/index-store.js';
import { stageVersion, type StagedVersion } from '../examples/publish.js';
import { writing } from '../files/durable.js';
import type { BuildReport } from './build-report.js';
import type { RunningEncoder } from '../embed/embed-dataset.js';
import { embedImages } from '../embed/embed-images.js';
import { openEmbeddingCache } from './embedding-cache.js';
import { finishVersion } from './finish-version.js';
import { insertImages, type InsertableImage, type Inserted } from './insert-images.js';
import type { Progress } from '../domain/progress.js';
import { leaveOutTaught } from './taught-changes.js';
import { createVersionFiles } from './version-files.js';

/** How an index is made of images and published. */
export interface PublishIndexOptions {
  readonly dataset: Dataset;
  readonly encoder: EncoderManifest;
  /** Where it lies, which the index remembers as a hint. */
  readonly encoderDir?: string | undefined;
  /** `index/<name>`. */
  readonly out: string;
  /** Its seed also chooses the rows that are measured. */
  readonly hnsw: HnswParameters & { readonly ef: number };
  /** Below this index recall@20 nothing is published; unless told, what is below 0.99 is published without its graph. */
  readonly minRecall?: number | undefined;
  /** Share of the images that may be rejected; 0.1 unless told. Above it nothing is published. */
  readonly maxRejects?: number | undefined;
  readonly strict: boolean;
  /** Old versions to keep. */
  readonly keep: number;
  /** Leave out what the index was taught since it was built; refuse unless told. */
  readonly dropChanges?: boolean | undefined;
  readonly progress: Progress;
  readonly now: () => Date;
  /** hnswlib-node, unless told. */
  readonly loadHnsw?: (() => Promise<HnswModule | undefined>) | undefined;
}

export interface BuildIndexOptions extends PublishIndexOptions {
  readonly decoder: Decoder;
  /** Of the encoder; it needs room for `inFlight` images in its queue. */
  readonly pool: Pick<EncoderPool, 'embed'>;
  /** Images on their way at once. */
  readonly inFlight: number;
  /** Of a dataset, whether the encoder was trained on an image; on none unless told. */
  readonly wasTrainedOn?: RunningEncoder['wasTrainedOn'] | undefined;
}

/**
 * Builds an index of a dataset and publishes it in one atomic step; until then the old version is served, whatever
 * happens. Embeddings are cached in `<out>/.cache`, so a build that was killed goes on where it was.
 * @throws NearvoteError `output_unwritable`, `dataset_invalid`, `recall_too_low`, `image_*` when strict, or what
 * the encoder throws
 */
export function buildIndex(options: BuildIndexOptions): Promise<BuildReport> {
  return publishIndex(options, (take) => embedCached(options, take));
}

/** Gives `take` what became of each image, in their order. */
type Embed = (take: (images: AsyncIterable<InsertableImage>) => Promise<Inserted>) => Promise<Inserted>;

/**
 * Publishes an index of images that `embed` has embedded.
 * @throws NearvoteError as `buildIndex`
 */
export function publishIndex(options: PublishIndexOptions, embed: Embed): Promise<BuildReport> {
  const { out } = options;
  return writing(out, async () => {
    const staged = await stageVersion(out);
    try {
      return await publishStaged(options, { staged, embed });
    } finally {
      await staged.close();
    }
  });
}

interface Parts {
  readonly staged: StagedVersion;
  readonly embed: Embed;
}

async function publishStaged(options: PublishIndexOptions, { staged, embed }: Parts): Promise<BuildReport> {
  const { dataset, encoder, out, hnsw, strict, progress } = options;
  const started = performance.now();
  const sequence = await leaveOutTaught({ root: out, drop: options.dropChanges === true });
  const { dimension } = encoder.output;
  const module = await (options.loadHnsw ?? loadHnswModule)();
  const graph = module && createHnswBuilder({ ...hnsw, module, dimension, maxElements: dataset.size });
  const files = createVersionFiles(staged.dir);
  let inserted: Inserted;
  progress.start({ name: 'embedding', total: dataset.size, unit: 'images' });
  try {
    inserted = await embed((images) => insertImages({ images, files, graph, strict, progress }));
  } finally {
    files.close();
  }
  progress.finish();
  const embedSeconds = secondsSince(started);
  requireImages({ ...inserted, all: dataset.size, maxRejects: options.maxRejects });

  const { embedded, fromCache, rejected, firstRejects, trainedOn } = inserted;
  const finished = await finishVersion({
    ...{ staged, files, graph, hnsw, dimension, progress, now: options.now },
    ...{ labels: inserted.labels, minRecall: options.minRecall, keep: options.keep },
    about: {
      encoder: await encoderOf(encoder, out, options.encoderDir),
      dataset: dataset.name,
      trainedOn,
      ...(sequence === undefined ? {} : { sequence }),
    },
  });
  const { version, dir, changed, unremoved, manifest, refused } = finished;
  const pair = { version, digest: contentDigest(manifest), manifest, encoder: encoderIdentity(encoder) };
  const calibration = await servedCalibration(out, pair);
  return {
    ...finished.measured,
    name: basename(resolve(out)),
    version,
    dir,
    changed,
    manifest,
    examples: manifest.examples,
    rejected,
    firstRejects,
    trainedOn,
    embedded,
    fromCache,
    searchKind: manifest.files['vectors.hnsw'] === undefined ? 'exact' : 'hnsw',
    embedSeconds,
    seconds: secondsSince(started),
    warnings: [
      ...warningsOf(manifest, refused),
      ...noneWarnings(manifest),
      ...datasetWarnings(dataset),
      ...(calibration.kind === 'ignored' ? [calibrationWarning(out)] : []),
      ...unremoved.map(unremovedWarning),
    ],
  };
}

/** What an index in the folder `out` remembers of its encoder. */
export async function encoderOf(
  encoder: EncoderManifest,
  out: string,
  encoderDir: string | undefined,
): Promise<IndexManifest['encoder']> {
  const { name, version, sha256 } = encoder;
  const { digest } = encoderIdentity(encoder);
  return { name, version, sha256, digest, ...(await pathFrom(out, encoderDir)) };
}

/** From the folder of the index, links followed, so that both may move together. */
async function pathFrom(out: string, encoderDir: string | undefined): Promise<{ path?: string }> {
  if (encoderDir === undefined) return {};
  const path = relative(await realpath(out), await realpath(encoderDir));
  return { path: path.split(sep).join('/') };
}

async function embedCached(options: BuildIndexOptions, take: Parameters<Embed>[0]): Promise<Inserted> {
  const { dataset, decoder, encoder, pool, inFlight, wasTrainedOn, out } = options;
  const cache = openEmbeddingCache({
    dir: join(out, '.cache'),
    encoderSha256: encoder.sha256,
    dimension: encoder.output.dimension,
  });
  try {
    const { geometry } = encoder.input;
    const how = { decoder, geometry, pool, known: cache, trainedOn: wasTrainedOn?.(dataset), inFlight };
    return await take(embedImages(dataset.images(), how));
  } finally {
    cache.close();
  }
}

const defaultMaxRejects = 0.1;

interface Rejected {
  /** Images of the dataset. */
  readonly all: number;
  readonly rejected: number;
  readonly firstRejects: readonly string[];
  readonly maxRejects?: number | undefined;
}

/** @throws NearvoteError `dataset_invalid` where more were rejected than may be */
export function requireImages(rejects: Rejected): void {
  const { all, rejected, firstRejects, maxRejects = defaultMaxRejects } = rejects;
  if (rejected <= maxRejects * all) return;
  throw new NearvoteError(
    'dataset_invalid',
    `Expected at most ${maxRejects} of the images to be rejected but ${rejected} of ${all} were, the first: ${firstRejects.join('; ')}. Nothing was published; --max-rejects allows more`,
  );
}

function warningsOf({ labels, files }: IndexManifest, refused: string | undefined): string[] {
  const [only] = labels;
  const unbuilt = 'hnswlib-node could not be loaded: the index has no graph, search is exact';
  return [
    ...(labels.length === 1 && only !== undefined
      ? [`All examples have one label, ${only.label}: every image will be taken for it`]
      : []),
    ...(files['vectors.hnsw'] === undefined ? [refused ?? unbuilt] : []),
  ];
}

function noneWarnings({ labels }: IndexManifest): string[] {
  const none = labels.find(({ label }) => label === noneLabel);
  if (none === undefined) return [];
  return [
    `The label ${noneLabel} rejects: images that are taken for its examples, ${none.examples}, will be answered as unknown`,
  ];
}

/** What of a dataset is left out of an index. */
export function datasetWarnings(dataset: Dataset): string[] {
  return [...unlabelledWarning(dataset), ...passedOverWarnings(dataset)];
}

function unlabelledWarning({ unlabelled = [] }: Dataset): string[] {
  if (unlabelled.length === 0) return [];
  const more = unlabelled.length > rejectsShown ? ', ...' : '';
  const named = unlabelled.slice(0, rejectsShown).join(', ') + more;
  return [
    `Files beside the folders of the classes have no label and are left out, ${unlabelled.length}: ${named}`,
  ];
}

function passedOverWarnings({ passedOver = new Map(), emptyClasses = [] }: Dataset): string[] {
  const endings = [...passedOver].sort(([a], [b]) => (a < b ? -1 : 1));
  const files = endings.map(([ending, count]) => `${count} ${ending}`).join(', ');
  return [
    ...(endings.length === 0 ? [] : [`Files that are no images by their names are passed over: ${files}`]),
    ...(emptyClasses.length === 0 ? [] : [`Without images and so no label: ${emptyClasses.join(', ')}`]),
  ];
}

function calibrationWarning(out: string): string {
  return `The calibration of ${out} was made for other examples or another encoder and ends with this build: confidence is the share of the vote again, and no image is unknown. Calibrate again: npx nearvote calibrate --data DIR --index ${out}`;
}

const rejectsShown = 3;

function unremovedWarning(version: string): string {
  return `The old version ${version} could not be removed`;
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
