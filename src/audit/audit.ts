import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import pLimit from 'p-limit';
import type { Progress } from '../domain/progress.js';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import { withEncoder, type EmbeddingOptions } from '../embed/embed-dataset.js';
import { namesItsImages } from '../image/dataset/cifar.js';
import { everyImageById, type LabelledImage } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { createDecoder, type Decoder, type DecodeLimits } from '../image/decode.js';
import { resizeTo } from '../image/geometry.js';
import { thumbnailsOf } from '../image/thumbnail.js';
import { readEmbeddingsFile } from '../neighbours/embeddings-file.js';
import { checkHasExamples, type OpenIndex } from '../examples/index-store.js';
import { openLeasedIndex } from '../examples/lease.js';
import { findEncoder, resolveShipped } from '../pair.js';
import type { Picture, ReportPage } from '../report/section.js';
import { labelSharesOf } from '../vote/vote.js';
import type { VoteRule } from '../vote/rules.js';
import { auditIndex, checkAuditable, type Audit, type HeldOut } from './audit-index.js';
import { auditPage } from './audit-page.js';
import type { ReadPixels } from './find-duplicates.js';

export interface AuditOptions extends EmbeddingOptions {
  /** Folder of the index, and folder of encoders. */
  readonly index: string;
  readonly models: string;
  /** Labelled images that the index must not hold. */
  readonly test?: string | undefined;
  /** Of CIFAR files. */
  readonly split: 'train' | 'test';
  /** The images the index was built of: confirms duplicates by their pixels, and shows them on the page. */
  readonly examples?: string | undefined;
  readonly examplesSplit: 'train' | 'test';
  readonly maxImageBytes: number;
  readonly vote: {
    readonly rule: VoteRule;
    readonly temperature: number;
    readonly priorCorrection?: boolean | undefined;
  };
  readonly k: number;
  /** Whether too large a k is brought down to the other examples; one that was asked for is refused. */
  readonly clampK: boolean;
  /** How many of the most suspicious labels are reported; those that are likely wrong unless given. */
  readonly suspects?: number | undefined;
  /** Of the examples that condensing starts from. */
  readonly seed: number;
  /** Whether a page is laid out. */
  readonly page: boolean;
}

/** What an audit found, and in what. */
export interface AuditedIndex {
  readonly audit: Audit;
  readonly index: OpenIndex;
  /** Absent without test images. */
  readonly test: HeldOut | undefined;
  /** Whether duplicates were confirmed by pixels. */
  readonly pixels: boolean;
  /**
   * Examples that the encoder was trained on, with their labels: it has bent to the wrong ones. Null where nothing was
   * kept that says so.
   */
  readonly trainedOn: number | null;
  readonly page: ReportPage | undefined;
}

/**
 * Asks the neighbours about the examples of an index: wrong labels, duplicates, leaks, what could be dropped.
 * @throws NearvoteError `index_*`, `dataset_*`, `k_too_large`; with test images `encoder_*`, `worker_failed`
 */
export async function audit(options: AuditOptions, progress: Progress): Promise<AuditedIndex> {
  const { maxPixels, maxDecodeBytes, seed } = options;
  const limits = { maxPixels, maxDecodeBytes };
  await using index = await openLeasedIndex(resolveShipped(options.index));
  checkHasExamples(index);
  const { examples, manifest, name } = index;
  const k = options.clampK ? Math.min(options.k, Math.max(1, examples.length - 1)) : options.k;
  checkAuditable({ name, examples, k });
  const images =
    options.examples === undefined ? undefined : await indexedImages(options.examples, options, index);
  const test =
    options.test === undefined ? undefined : await embedTest(options.test, { options, index, progress });
  const { rule, temperature, priorCorrection = false } = options.vote;
  const priors = priorCorrection ? labelSharesOf(examples.map(({ label }) => label)) : undefined;
  const found = await auditIndex({
    ...{ name, examples, k, seed, progress, suspects: options.suspects },
    vote: { rule, temperature, priors },
    embeddings: await readEmbeddingsFile({
      path: join(index.dir, 'embeddings.f32'),
      count: manifest.examples,
      dimension: manifest.dimension,
    }),
    test: test && { ...test, readPixels: pixelReader(test.images, limits) },
    readPixels: images && pixelReader(images, limits),
    threads: options.workers * options.threads,
  });
  return {
    audit: found,
    ...{ index, test, pixels: images !== undefined },
    trainedOn: index.manifest.trainedOn ?? (await trainedOnByName(options, index)),
    page: options.page ? await pageOf({ found, index, images, test, options }) : undefined,
  };
}

async function indexedImages(
  path: string,
  { examplesSplit, maxImageBytes }: AuditOptions,
  { examples }: OpenIndex,
): Promise<readonly LabelledImage[]> {
  const dataset = await openDataset(path, { split: examplesSplit, maxFileBytes: maxImageBytes });
  return everyImageById({ dataset, ids: examples.map(({ source }) => source), place: path });
}

/** The images of the test set, by row of its embeddings. */
interface Test extends HeldOut {
  readonly images: readonly LabelledImage[];
}

async function embedTest(
  path: string,
  parts: { readonly options: AuditOptions; readonly index: OpenIndex; readonly progress: Progress },
): Promise<Test> {
  const { options, index, progress } = parts;
  const dataset = await openDataset(path, { split: options.split, maxFileBytes: options.maxImageBytes });
  const encoder = await findEncoder(index, options.models);
  const { images, embeddings } = await withEncoder({ ...options, ...encoder, progress }, ({ embed }) =>
    embed(dataset),
  );
  return { name: dataset.name, images, embeddings };
}

/** For an index that was built before this was asked: by the name of its images, where that says which they are. */
async function trainedOnByName({ models }: AuditOptions, { manifest }: OpenIndex): Promise<number | null> {
  if (!namesItsImages(manifest.dataset)) return null;
  try {
    const encoder = await readEncoderManifest(resolveShipped(join(models, manifest.encoder.name)));
    if (encoder.sha256 !== manifest.encoder.sha256) return null;
    return encoder.trainedOn.includes(manifest.dataset) ? manifest.examples : 0;
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'encoder_missing') return null;
    throw error;
  }
}

/** Reads images, by row, as the square pictures that duplicates are told by; those that cannot be decoded are left out. */
function pixelReader(images: readonly LabelledImage[], limits: DecodeLimits): ReadPixels {
  const decoders = new Map<number, Decoder>();
  const decoderOf = (side: number): Decoder => {
    const geometry = resizeTo({ width: side, height: side, fit: 'fill', kernel: 'linear' });
    const decoder = decoders.get(side) ?? createDecoder({ geometry, ...limits });
    decoders.set(side, decoder);
    return decoder;
  };
  return async (rows, side) => {
    const decoder = decoderOf(side);
    // Files are read one by one ahead of the decoder, not all at once.
    const inTurn = pLimit(4 * availableParallelism());
    const pixels = new Map<number, Uint8Array>();
    await Promise.all(
      rows.map((row) =>
        inTurn(async () => {
          const image = images[row];
          const decoded =
            image && (await decodeIfWhole(() => image.read().then((read) => decoder.decode(read))));
          if (decoded !== undefined) pixels.set(row, decoded);
        }),
      ),
    );
    return pixels;
  };
}

async function decodeIfWhole(decode: () => Promise<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof NearvoteError && error.code.startsWith('image_')) return undefined;
    throw error;
  }
}

interface PageParts {
  readonly found: Audit;
  readonly index: OpenIndex;
  readonly images: readonly LabelledImage[] | undefined;
  readonly test: Test | undefined;
  readonly options: AuditOptions;
}

function pageOf({ found, index, images, test, options }: PageParts): Promise<ReportPage> {
  const { name, version, examples } = index;
  return auditPage({
    name,
    subtitle: `${name} ${version}, k = ${found.k}, ${options.vote.rule} vote${test === undefined ? '' : `, against ${test.name}`}`,
    examples,
    test,
    audit: found,
    findImage: images && (async (of, row) => thumbnailOf(of === 'index' ? images[row] : test?.images[row])),
  });
}

/** Nothing where the image can no longer be read. */
async function thumbnailOf(image: LabelledImage | undefined): Promise<Picture['image']> {
  const bytes = image && (await thumbnailsOf([image])).get(image.id);
  return bytes && { bytes, type: 'image/webp' };
}
