import { NearvoteError, type ErrorCode } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import type { Dataset, LabelledImage } from '../image/dataset/dataset.js';
import { createDecoder } from '../image/decode.js';
import { resizeTo, type Fit, type Kernel } from '../image/geometry.js';
import { uprightSize } from '../image/size.js';

/** The images of a dataset, decoded once and held in memory that worker threads share. */
export interface DecodedImages {
  /** uint8 RGB `[count, side, side, 3]` */
  readonly pixels: SharedArrayBuffer;
  readonly side: number;
  readonly count: number;
  /** Of each image, as a place in `labelNames`. */
  readonly labels: Int32Array;
  /** In code-unit order; every one has an image. */
  readonly labelNames: readonly string[];
  /** In the dataset's order. */
  readonly ids: readonly string[];
  /** What could not be read or decoded, as the builder rejects it. */
  readonly rejected: readonly { readonly id: string; readonly code: ErrorCode; readonly message: string }[];
}

export interface DecodeImagesOptions {
  readonly fit: Fit;
  readonly kernel: Kernel;
  readonly dataset: Dataset;
  /** They are stored as `side` x `side`. */
  readonly side: number;
  /** The shorter side that an image must have; any will do unless told. */
  readonly leastSide?: number | undefined;
  readonly progress: Progress;
}

/** Read and decoded at once; enough to keep every thread busy while they stay in order. */
const chunk = 64;

/**
 * Reads and decodes a whole dataset; what cannot be read or decoded is rejected and left out.
 * @throws NearvoteError `dataset_invalid` where images are too small, where none is left, or where they do not fit into
 * memory
 */
export async function decodeImages(options: DecodeImagesOptions): Promise<DecodedImages> {
  const { dataset, side, fit, kernel, leastSide = 1, progress } = options;
  const imageBytes = side * side * 3;
  const pixels = allocate(dataset.size, imageBytes);
  const all = new Uint8Array(pixels);
  const decoder = createDecoder({ geometry: resizeTo({ width: side, height: side, fit, kernel }) });
  const kept: { readonly id: string; readonly label: string }[] = [];
  const rejected: { id: string; code: ErrorCode; message: string }[] = [];
  const small: string[] = [];

  async function decode(image: LabelledImage): Promise<Uint8Array | NearvoteError> {
    try {
      const content = await image.read();
      const decoded = await decoder.decode(content);
      const size = leastSide > 1 ? await uprightSize(content) : undefined;
      if (size !== undefined && Math.min(size.width, size.height) < leastSide) {
        small.push(`${image.id} (${size.width} x ${size.height})`);
      }
      return decoded;
    } catch (error) {
      if (error instanceof NearvoteError && error.code.startsWith('image_')) return error;
      throw error;
    }
  }

  progress.start({ name: 'decoding', total: dataset.size, unit: 'images' });
  for await (const images of inChunks(dataset.images())) {
    for (const [i, decoded] of (await Promise.all(images.map(decode))).entries()) {
      const { id = '', label = '' } = images[i] ?? {};
      if (decoded instanceof NearvoteError) {
        rejected.push({ id, code: decoded.code, message: decoded.message });
      } else {
        all.set(decoded, kept.length * imageBytes);
        kept.push({ id, label });
      }
    }
    progress.advance(images.length);
  }
  progress.finish();

  if (small.length > 0) throw tooSmall(small, leastSide);
  if (kept.length === 0) {
    const [first] = rejected;
    const why = first === undefined ? 'it is empty' : `${first.id} and all others failed: ${first.message}`;
    throw new NearvoteError('dataset_invalid', `Expected images in ${dataset.name} but ${why}`);
  }
  const labelNames = [...new Set(kept.map(({ label }) => label))].sort();
  const places = new Map(labelNames.map((label, place) => [label, place]));
  return {
    pixels,
    side,
    count: kept.length,
    labels: Int32Array.from(kept, ({ label }) => places.get(label) ?? 0),
    labelNames,
    ids: kept.map(({ id }) => id),
    rejected,
  };
}

function allocate(images: number, imageBytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(images * imageBytes);
  } catch (cause) {
    const gigabytes = ((images * imageBytes) / 1e9).toFixed(1);
    throw new NearvoteError(
      'dataset_invalid',
      `Expected ${images} images to fit into memory but they take ${gigabytes} GB; a smaller data.storageSize, or fewer images, would do`,
      { cause },
    );
  }
}

async function* inChunks(images: AsyncIterable<LabelledImage>): AsyncGenerator<readonly LabelledImage[]> {
  let waiting: LabelledImage[] = [];
  for await (const image of images) {
    waiting.push(image);
    if (waiting.length < chunk) continue;
    yield waiting;
    waiting = [];
  }
  if (waiting.length > 0) yield waiting;
}

function tooSmall(small: readonly string[], leastSide: number): NearvoteError {
  const named = [...small].sort().slice(0, 3).join(', ');
  return new NearvoteError(
    'dataset_invalid',
    `Expected images of at least ${leastSide} pixels on their shorter side, the size of the crop, but ${small.length} are smaller: ` +
      `${named}${small.length > 3 ? ', ...' : ''}; remove them or lower model.inputSize`,
  );
}
