import { NearvoteError, type ErrorCode } from '../domain/errors.js';
import { packFingerprints } from '../domain/fingerprints.js';
import type { Progress } from '../domain/progress.js';
import { trainedImageDigest } from '../embed/image-key.js';
import { countLabels, type Dataset, type LabelledImage } from '../image/dataset/dataset.js';
import { createDecoder } from '../image/decode.js';
import { resizeTo, type Fit, type Kernel } from '../image/geometry.js';
import { uprightSize } from '../image/sharp.js';

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
  /** Of the images, packed: by these the encoder that is trained on them knows them again. */
  readonly fingerprints: Uint8Array;
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
  const digests: Uint8Array[] = [];
  const rejected: { id: string; code: ErrorCode; message: string }[] = [];
  const small: string[] = [];

  async function decode(image: LabelledImage): Promise<Decoded | NearvoteError> {
    try {
      const content = await image.read();
      const decoded = await decoder.decode(content);
      const size = leastSide > 1 ? await uprightSize(content) : undefined;
      if (size !== undefined && Math.min(size.width, size.height) < leastSide) {
        small.push(`${image.id} (${size.width} x ${size.height})`);
      }
      return { pixels: decoded, digest: trainedImageDigest(content) };
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
        all.set(decoded.pixels, kept.length * imageBytes);
        kept.push({ id, label });
        digests.push(decoded.digest);
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
    fingerprints: packFingerprints(digests),
    rejected,
  };
}

interface Decoded {
  readonly pixels: Uint8Array;
  readonly digest: Uint8Array;
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

export interface TrainingImagesOptions extends Omit<DecodeImagesOptions, 'side' | 'leastSide'> {
  /** Of the crops. */
  readonly inputSize: number;
  /**
   * Unless told, raw pixels such as CIFAR's stay as large as they are, and files are decoded to a little more than the
   * crop.
   */
  readonly storageSize?: number | undefined;
}

/** So that a crop of a photo chooses among pixels that are there. */
export const storageFactor = 1.15;

/**
 * Decodes the images to train on.
 * @throws NearvoteError `dataset_invalid` where a class has a single image, where there is a single class, or where
 * images are smaller than the crop; what `decodeImages` throws
 */
export async function loadTrainingImages(options: TrainingImagesOptions): Promise<DecodedImages> {
  const { dataset, inputSize, storageSize } = options;
  requireClasses(dataset.labelCounts, dataset.name);
  const side = storageSize ?? (await sideOfRawPixels(dataset)) ?? Math.ceil(storageFactor * inputSize);
  if (side < inputSize) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected images of at least ${inputSize} pixels, the size of the crop, but ${dataset.name} is stored at ${side}`,
    );
  }
  const images = await decodeImages({ ...options, side, leastSide: inputSize });
  const named = Array.from(images.labels, (label) => images.labelNames[label] ?? '');
  requireClasses(countLabels(named), dataset.name, images.rejected.length);
  return images;
}

function requireClasses(counts: ReadonlyMap<string, number>, dataset: string, rejected = 0): void {
  const after = rejected === 0 ? '' : ` once ${rejected} unreadable images were left out`;
  if (counts.size < 2) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected at least two classes to tell apart in ${dataset} but received ${counts.size}${after}`,
    );
  }
  const single = [...counts].filter(([, count]) => count < 2).map(([label]) => label);
  if (single.length === 0) return;
  throw new NearvoteError(
    'dataset_invalid',
    `Expected at least two images of every class in ${dataset} but ${single.slice(0, 3).join(', ')}` +
      `${single.length > 3 ? ` and ${single.length - 3} others have` : single.length > 1 ? ' have' : ' has'} only one${after}`,
  );
}

/** Of the first image; undefined where it is a file, or where it cannot be read and decoding will say why. */
export async function sideOfRawPixels(dataset: Dataset): Promise<number | undefined> {
  for await (const image of dataset.images()) {
    const content = await image.read().catch(() => undefined);
    return content?.kind === 'pixels' ? Math.min(content.width, content.height) : undefined;
  }
  return undefined;
}
