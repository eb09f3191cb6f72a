import { asEmbeddings } from '../../domain/embeddings.js';
import type { Embeddings } from '../../domain/embeddings.js';
import { NearvoteError } from '../../domain/errors.js';
import type { Encoder } from '../encoder.js';
import type { EncoderManifest } from '../manifest.js';
import { openOnnxEncoder } from '../onnx-runtime.js';
import { tryImages, type WrappedModel } from './wrap.js';

/** Half precision and other kernels for other batches move a value by about 1e-4. */
const tolerance = 1e-3;
const count = 3;

/**
 * Embeds three images of noise together and one by one: shape, finiteness and unit length are checked by the runtime,
 * and here that an image's embedding does not depend on its company, and does depend on the image.
 * @throws NearvoteError `encoder_unsupported` or `encoder_invalid` saying which of these does not hold
 */
export async function proveEncoder(wrapped: WrappedModel, manifest: EncoderManifest): Promise<void> {
  const { pixels, images } = noiseOf(manifest);
  const alone = await embedAlone(wrapped.forOneImage, { manifest, images });
  let together: Embeddings;
  let first: Embeddings;
  try {
    [together, first] = await embedServed(wrapped.bytes, { manifest, pixels });
  } catch (cause) {
    throw oneAtATime(`it fails on ${count}: ${rootMessage(cause)}`, cause);
  }
  const worst = Math.max(furthestApart(alone, together), furthestApart([first], together));
  if (!(worst <= tolerance)) {
    if (wrapped.batchWasOne) throw oneAtATime(differs(worst));
    throw companyMatters(worst);
  }
  checkDifferent(alone, first);
}

/**
 * The same of an encoder that is open already, whatever runs it.
 * @throws NearvoteError `encoder_unsupported` saying which of these does not hold
 */
export async function proveCompany(encoder: Encoder): Promise<void> {
  const { pixels, images } = noiseOf(encoder.manifest);
  const alone: Embeddings[] = [];
  for (const image of images) alone.push(await encoder.embed(image, 1));
  let together: Embeddings;
  try {
    together = await encoder.embed(pixels, count);
  } catch (cause) {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected a model that takes any number of images but it fails on ${count}: ${rootMessage(cause)}`,
      { cause },
    );
  }
  const worst = furthestApart(alone, together);
  if (!(worst <= tolerance)) throw companyMatters(worst);
  const [first] = alone;
  if (first !== undefined) checkDifferent(alone, first);
}

interface Noise {
  /** uint8 RGB `[3, height, width, 3]`. */
  readonly pixels: Uint8Array;
  /** The same one by one. */
  readonly images: readonly Uint8Array[];
}

/** Three images of noise, finest in the first and coarsest in the last. */
function noiseOf({ input }: EncoderManifest): Noise {
  const size = input.width * input.height * 3;
  const pixels = Uint8Array.from({ length: count * size }, (_, i) => {
    const cell = Math.floor((i % size) / 8 ** Math.floor(i / size));
    return Math.imul(cell + 1, 0x9e3779b1) >>> 24;
  });
  return {
    pixels,
    images: Array.from({ length: count }, (_, i) => pixels.subarray(i * size, (i + 1) * size)),
  };
}

/** The most that a value of an image's embedding alone differs from that of the same image among all. */
function furthestApart(alone: readonly Embeddings[], { values, dimension }: Embeddings): number {
  const apart = alone.map((row, i) =>
    largestDifference(row.values, values.subarray(i * dimension, (i + 1) * dimension)),
  );
  return Math.max(...apart);
}

function differs(by: number): string {
  return `an image's embedding alone and in a batch of ${count} differ by ${by.toPrecision(2)}`;
}

function companyMatters(by: number): NearvoteError {
  return new NearvoteError(
    'encoder_unsupported',
    `Expected the same embedding whatever else is in the batch but ${differs(by)}`,
  );
}

function checkDifferent(alone: readonly Embeddings[], first: Embeddings): void {
  if (!alone.every((row) => largestDifference(row.values, first.values) < 1e-6)) return;
  throw new NearvoteError(
    'encoder_unsupported',
    'Expected different embeddings for different images but they are all the same: is --output the right value, and are --scale, --mean and --std?',
  );
}

interface AloneOptions {
  readonly manifest: EncoderManifest;
  readonly images: readonly Uint8Array[];
}

/** Not through the runtime that serves, which refuses a model that a fixed batch is left in. */
async function embedAlone(bytes: Uint8Array, { manifest, images }: AloneOptions): Promise<Embeddings[]> {
  const { input, output } = manifest;
  const trial = { width: input.width, height: input.height, pixels: input.name, output: output.name, images };
  const results = await tryImages(bytes, trial);
  return results.map((result) => asEmbeddings(result.data as Float32Array, output.dimension));
}

interface ServedOptions {
  readonly manifest: EncoderManifest;
  readonly pixels: Uint8Array;
}

/** All together, and the first by itself. */
async function embedServed(
  bytes: Uint8Array,
  { manifest, pixels }: ServedOptions,
): Promise<[Embeddings, Embeddings]> {
  const encoder = await openOnnxEncoder({ manifest, bytes, threads: 1 });
  try {
    const together = await encoder.embed(pixels, count);
    return [together, await encoder.embed(pixels.subarray(0, pixels.length / count), 1)];
  } finally {
    await encoder.close();
  }
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

function oneAtATime(said: string, cause?: unknown): NearvoteError {
  return new NearvoteError(
    'encoder_unsupported',
    `Expected a model that takes any number of images but ${said}. It can only be served when exported with a dynamic batch ` +
      "(torch.onnx.export: dynamic_axes={'input': {0: 'n'}, 'output': {0: 'n'}})",
    { cause },
  );
}

function rootMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : rootMessage(error.cause);
}
