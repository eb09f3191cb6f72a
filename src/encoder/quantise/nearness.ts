import { dot, type Embeddings } from '../../domain/embeddings.js';
import type { EncoderManifest } from '../manifest.js';
import { openOnnxEncoder } from '../onnx-runtime.js';
import type { Images } from './observe.js';

/** How near the embeddings of held-out images are to those of the float encoder. */
export interface Nearness {
  readonly meanCosine: number;
  readonly worstCosine: number;
  /** The share of images whose nearest other image is the same one. */
  readonly neighbourAgreement: number;
}

interface EmbedEachOptions {
  readonly manifest: EncoderManifest;
  readonly images: Images;
  readonly threads: number;
  readonly onImages: (count: number) => void;
}

const batchSize = 16;

/** In batches, which are not joined. */
export async function embedEach(bytes: Uint8Array, options: EmbedEachOptions): Promise<Embeddings[]> {
  const { manifest, images, threads, onImages } = options;
  const encoder = await openOnnxEncoder({ manifest, bytes, threads });
  try {
    const batches: Embeddings[] = [];
    for (let at = 0; at < images.length; at += batchSize) {
      const batch = images.slice(at, at + batchSize);
      batches.push(await encoder.embed(new Uint8Array(Buffer.concat(batch)), batch.length));
      onImages(batch.length);
    }
    return batches;
  } finally {
    await encoder.close();
  }
}

/** Compares embeddings of the same images in the same order. */
export function nearnessOf(received: readonly Embeddings[], expected: readonly Embeddings[]): Nearness {
  const [a, b] = [joined(received), joined(expected)];
  const count = a.length;
  let sum = 0;
  let worst = 1;
  let agreed = 0;
  for (let i = 0; i < count; i++) {
    const cosine = cosineOf(a[i], b[i]);
    sum += cosine;
    worst = Math.min(worst, cosine);
    if (nearestOther(a, i) === nearestOther(b, i)) agreed++;
  }
  return { meanCosine: sum / count, worstCosine: worst, neighbourAgreement: agreed / count };
}

function joined(batches: readonly Embeddings[]): Float32Array[] {
  return batches.flatMap(({ values, count, dimension }) =>
    Array.from({ length: count }, (_, i) => values.subarray(i * dimension, (i + 1) * dimension)),
  );
}

function nearestOther(rows: readonly Float32Array[], of: number): number {
  let nearest = -1;
  let most = -Infinity;
  for (let i = 0; i < rows.length; i++) {
    if (i === of) continue;
    const similarity = cosineOf(rows[i], rows[of]);
    if (similarity > most) [nearest, most] = [i, similarity];
  }
  return nearest;
}

/** Of unit vectors. */
function cosineOf(a: Float32Array | undefined, b: Float32Array | undefined): number {
  return a === undefined || b === undefined ? NaN : dot(a, 0, b, 0, a.length);
}
