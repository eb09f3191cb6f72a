import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import { NearvoteError, type ErrorCode } from '../domain/errors.js';
import type { ImageContent, LabelledImage } from '../image/dataset/dataset.js';
import type { Decoder } from '../image/decode.js';
import { largestBatch } from '../encoder/pool/job.js';
import type { EncoderPool } from '../encoder/pool/pool.js';
import type { Geometry } from '../image/geometry.js';
import { contentDigest, imageKey } from './image-key.js';

/** What became of one image. */
export type EmbeddedImage =
  | {
      readonly kind: 'embedded' | 'cached';
      readonly image: LabelledImage;
      /** The same for the same pixels. */
      readonly key: Buffer;
      /** Of the image's content: the same whatever encoder it is for. */
      readonly digest: Buffer;
      /** Whether the encoder was trained on it, as far as it can tell. */
      readonly trainedOn: boolean;
      readonly embedding: Float32Array;
    }
  | {
      readonly kind: 'rejected';
      readonly image: LabelledImage;
      readonly code: ErrorCode;
      readonly message: string;
    };

type Images = AsyncIterable<LabelledImage> | Iterable<LabelledImage>;

/** Embeddings that are known already, by image. */
interface KnownEmbeddings {
  get(key: Buffer): Float32Array | undefined;
  set(key: Buffer, embedding: Float32Array): void;
}

export interface EmbedImagesOptions {
  readonly decoder: Decoder;
  readonly geometry: Geometry;
  readonly pool: Pick<EncoderPool, 'embed'>;
  /** None unless told. */
  readonly known?: KnownEmbeddings | undefined;
  /** Whether the encoder was trained on an image; on none unless told. */
  readonly trainedOn?: ((content: ImageContent) => boolean) | undefined;
  /** Images on their way at once: see `imagesInFlight`. */
  readonly inFlight: number;
}

/** Batches on their way for each worker: one in it, one waiting, two being decoded. */
const batchesInFlight = 4;

/** Images on their way at once: enough that no worker waits for a batch. */
export function imagesInFlight({
  workers,
  maxBatch = largestBatch,
}: {
  readonly workers: number;
  readonly maxBatch?: number | undefined;
}): number {
  return batchesInFlight * maxBatch * workers;
}

/**
 * Of those, the most that are read and decoded at once, for whole files can be large: twice the threads that sharp
 * works on, which are libuv's four unless told.
 */
const readAtOnce = 2 * Math.max(4, availableParallelism());

type ReadImage = { readonly key: Buffer; readonly digest: Buffer; readonly trainedOn: boolean } & (
  { readonly embedding: Float32Array } | { readonly pixels: Uint8Array }
);

interface Failed {
  readonly kind: 'failed';
  readonly error: unknown;
}

/**
 * Reads, decodes and embeds images, many at once and in their order. An image that cannot be read or decoded is
 * rejected; any other failure is thrown, when the images before it have been taken.
 */
export async function* embedImages(
  images: Images,
  options: EmbedImagesOptions,
): AsyncGenerator<EmbeddedImage> {
  const { decoder, geometry, pool, known, trainedOn = () => false, inFlight } = options;
  const reading = pLimit(readAtOnce);

  async function embed(image: LabelledImage): Promise<EmbeddedImage | Failed> {
    try {
      const read = await reading(() => readPixels(image));
      if ('embedding' in read) return { kind: 'cached', image, ...read };
      const { pixels, ...found } = read;
      const { embedding } = await pool.embed(pixels);
      known?.set(found.key, embedding);
      return { kind: 'embedded', image, ...found, embedding };
    } catch (error) {
      // Never rejects: while an earlier image is awaited, nobody listens to this one.
      return rejectionOf(image, error) ?? { kind: 'failed', error };
    }
  }

  async function readPixels(image: LabelledImage): Promise<ReadImage> {
    const content = await image.read();
    const found = {
      key: imageKey(content, geometry),
      digest: contentDigest(content),
      trainedOn: trainedOn(content),
    };
    const embedding = known?.get(found.key);
    if (embedding !== undefined) return { ...found, embedding };
    return { ...found, pixels: await decoder.decode(content) };
  }

  for await (const outcome of inOrder(images, embed, inFlight)) {
    if (outcome.kind === 'failed') throw outcome.error;
    yield outcome;
  }
}

/** What an image is by its content, or why that cannot be read. */
export type DigestedImage =
  | { readonly kind: 'read'; readonly image: LabelledImage; readonly digest: Buffer }
  | Extract<EmbeddedImage, { readonly kind: 'rejected' }>;

/** Reads images, several at once and in their order, without decoding them. */
export async function* digestImages(images: Images): AsyncGenerator<DigestedImage> {
  const read = async (image: LabelledImage): Promise<DigestedImage | Failed> => {
    try {
      return { kind: 'read', image, digest: contentDigest(await image.read()) };
    } catch (error) {
      return rejectionOf(image, error) ?? { kind: 'failed', error };
    }
  };
  for await (const outcome of inOrder(images, read, readAtOnce)) {
    if (outcome.kind === 'failed') throw outcome.error;
    yield outcome;
  }
}

/** What comes of each image, in their order; `work`, which never rejects, has so many of them at once. */
async function* inOrder<Outcome>(
  images: Images,
  work: (image: LabelledImage) => Promise<Outcome>,
  atOnce: number,
): AsyncGenerator<Outcome> {
  const waiting: Promise<Outcome>[] = [];
  for await (const image of images) {
    waiting.push(work(image));
    if (waiting.length >= atOnce) yield* first(waiting);
  }
  while (waiting.length > 0) yield* first(waiting);
}

async function* first<Outcome>(waiting: Promise<Outcome>[]): AsyncGenerator<Outcome> {
  const outcome = waiting.shift();
  if (outcome !== undefined) yield await outcome;
}

function rejectionOf(
  image: LabelledImage,
  error: unknown,
): Extract<EmbeddedImage, { readonly kind: 'rejected' }> | undefined {
  if (!(error instanceof NearvoteError) || !error.code.startsWith('image_')) return undefined;
  return { kind: 'rejected', image, code: error.code, message: error.message };
}
