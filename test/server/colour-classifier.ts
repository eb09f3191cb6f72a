import { randomUUID } from 'node:crypto';

import sharp from 'sharp';

import { createClassifier, type Classifier } from '../../src/classify.js';
import type { Example } from '../../src/domain/decision.js';
import { decoderTo } from '../image/decoder-to.js';
import type { EncoderPool } from '../../src/encoder/pool/pool.js';
import type { IndexState, Neighbours } from '../../src/neighbours/neighbours.js';
import type { Calibration } from '../../src/vote/calibration.js';

const colours = ['red', 'green', 'blue'] as const;
const examples: Example[] = colours.flatMap((label) =>
  Array.from({ length: 10 }, (_, i) => ({ id: `${label}-${i}`, label, source: `secret/${label}-${i}.png` })),
);

/** Embeds an image as its mean colour. */
const colourPool: Pick<EncoderPool, 'embed'> = {
  embed: (pixels, { signal } = {}) =>
    new Promise((resolve) => {
      signal?.throwIfAborted();
      const sums = colours.map((_, channel) =>
        pixels.reduce((sum, value, i) => sum + (i % 3 === channel ? value : 0), 0),
      );
      const norm = Math.hypot(...sums) || 1;
      resolve({
        embedding: Float32Array.from(sums, (sum) => sum / norm),
        ...{ queueMs: 2, encodeMs: 3, batchSize: 1 },
      });
    }),
};

/** The ten examples of each colour lie on that colour's axis. */
const state: IndexState = {
  ...{ sequence: 0, examples: examples.length, changed: 0 },
  labels: colours.map((label) => ({ label, examples: 10 })),
};
const colourNeighbours: Pick<Neighbours, 'version' | 'state' | 'search'> = {
  version: { name: 'colours', version: '1' },
  state,
  search: (embedding, { k, shown }) => {
    const similarityOf = (row: number): number => embedding[Math.floor(row / 10)] ?? 0;
    const rows = Array.from(examples.keys())
      .sort((a, b) => similarityOf(b) - similarityOf(a) || a - b)
      .slice(0, k);
    const found = rows.flatMap((row) => examples[row] ?? []);
    return Promise.resolve({
      labels: found.map(({ label }) => label),
      similarities: Float32Array.from(rows, similarityOf),
      examples: found.slice(0, shown),
      state,
      searchMs: 4,
    });
  },
};

/** The real classifier and the real decoder over an embedding that a test can read. */
export function createColourClassifier(
  calibration?: Calibration,
  name = 'colours',
  labelOf: (colour: string) => string = (colour) => colour,
): Classifier {
  const neighbours: typeof colourNeighbours = {
    ...colourNeighbours,
    version: { ...colourNeighbours.version, name },
    search: async (embedding, options) => {
      const nearest = await colourNeighbours.search(embedding, options);
      return { ...nearest, labels: nearest.labels.map(labelOf) };
    },
  };
  return createColourClassifierOver(neighbours, calibration);
}

/** As that, over other examples of mean colours. */
export function createColourClassifierOver(
  neighbours: Pick<Neighbours, 'version' | 'state' | 'search'>,
  calibration?: Calibration,
  encoderDigest = 'ef'.repeat(32),
): Classifier {
  return createClassifier({
    decoder: decoderTo({ width: 8, height: 8, fit: 'fill', kernel: 'linear' }),
    pool: colourPool,
    neighbours,
    encoder: { name: 'mean-colour', version: '2', dimension: 3, runtime: 'onnxruntime' },
    encoderDigest,
    defaults: { rule: 'softmax', temperature: 0.07, k: 20, priorCorrection: false },
    calibration,
    createId: randomUUID,
  });
}

/** A PNG of one colour. */
export async function drawColour(colour: string, size = 8): Promise<Buffer> {
  return sharp({ create: { width: size, height: size, channels: 3, background: colour } })
    .png()
    .toBuffer();
}
