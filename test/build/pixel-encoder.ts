import { createHash } from 'node:crypto';
import type { EncoderManifest } from '../../src/encoder/manifest.js';
import type { Dataset, LabelledImage } from '../../src/image/dataset/dataset.js';
import type { EncoderPool } from '../../src/encoder/pool/pool.js';
import { seededRandom } from '../neighbours/unit-vectors.js';

/** An image is its own embedding: the pixels about their middle, at unit length. 2 x 2 RGB, so 12 dimensions. */
export const pixelEncoder: EncoderManifest = {
  name: 'pixels',
  version: '1.0.0',
  format: 'onnx',
  file: 'encoder.onnx',
  sha256: createHash('sha256').update('pixels').digest('hex'),
  input: {
    name: 'pixels',
    width: 2,
    height: 2,
    geometry: { resize: { width: 2, height: 2 }, fit: 'fill', kernel: 'nearest' },
  },
  output: { name: 'embeddings', dimension: 12 },
  trainedOn: ['drawn (train)'],
  metrics: {},
  licence: 'Apache-2.0',
};

export interface CountingPool extends EncoderPool {
  readonly embedded: number;
  readonly mostAtOnce: number;
}

/** Answers out of order, as a pool with several workers does. */
export function createPixelPool(): CountingPool {
  let embedded = 0;
  let now = 0;
  let mostAtOnce = 0;
  return {
    get embedded() {
      return embedded;
    },
    get mostAtOnce() {
      return mostAtOnce;
    },
    queueDepth: 0,
    ready: true,
    runtime: 'onnxruntime',
    embed: async (pixels) => {
      embedded++;
      mostAtOnce = Math.max(mostAtOnce, ++now);
      for (let turns = embedded % 3; turns >= 0; turns--)
        await new Promise((resolve) => setImmediate(resolve));
      now--;
      const centred = Array.from(pixels, (value) => value - 127.5);
      const norm = Math.hypot(...centred);
      return {
        embedding: Float32Array.from(centred, (value) => value / norm),
        queueMs: 0,
        encodeMs: 0,
        batchSize: 1,
      };
    },
    close: () => Promise.resolve(),
  };
}

export interface PixelDatasetOptions {
  readonly count: number;
  readonly labels?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly seed?: number | undefined;
}

/** Random 2 x 2 pictures in memory; the label decides the first pixel, so that neighbours share it. */
export function pixelDataset(options: PixelDatasetOptions): Dataset {
  return datasetOf(options.name ?? 'drawn', pixelImages(options));
}

export function pixelImages(options: PixelDatasetOptions): LabelledImage[] {
  const { count, labels = ['dark', 'light'], seed = 1 } = options;
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, i): LabelledImage => {
    const label = labels[i % labels.length] ?? '';
    const first = Math.round((255 * (i % labels.length)) / Math.max(labels.length - 1, 1));
    const pixels = Uint8Array.from({ length: 12 }, (__, p) => (p < 3 ? first : Math.floor(random() * 256)));
    const id = `${label}/${i}`;
    return {
      id,
      label,
      source: id,
      read: () => Promise.resolve({ kind: 'pixels', pixels, width: 2, height: 2 }),
    };
  });
}

/** A dataset of exactly these images. */
export function datasetOf(name: string, images: readonly LabelledImage[]): Dataset {
  const labelCounts = new Map<string, number>();
  for (const { label } of images) labelCounts.set(label, (labelCounts.get(label) ?? 0) + 1);
  return {
    name,
    size: images.length,
    labelCounts,
    async *images() {
      for (const image of images) yield await Promise.resolve(image);
    },
  };
}
