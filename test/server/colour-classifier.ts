import { randomUUID } from 'node:crypto';

import sharp from 'sharp';

import { createClassifier, type Classifier } from '../../src/classify.js';
import type { Example } from '../../src/domain/decision.js';
import { decoderTo } from '../image/decoder-to.js';
import type { Inference } from '../../src/inference/inference.js';
import type { Calibration } from '../../src/vote/calibration.js';

const colours = ['red', 'green', 'blue'] as const;
const examples: Example[] = colours.flatMap((label) =>
  Array.from({ length: 10 }, (_, i) => ({ id: `${label}-${i}`, label, source: `secret/${label}-${i}.png` })),
);

/** Embeds an image as its mean colour; the ten examples of each colour lie on that colour's axis. */
const colourInference: Inference = {
  searchKind: 'exact',
  queueDepth: 0,
  ready: true,
  async infer(pixels, { k, withEmbedding, signal }) {
    signal?.throwIfAborted();
    const sums = colours.map((_, channel) =>
      pixels.reduce((sum, value, i) => sum + (i % 3 === channel ? value : 0), 0),
    );
    const norm = Math.hypot(...sums) || 1;
    const embedding = Float32Array.from(sums, (sum) => sum / norm);
    const similarityOf = (row: number): number => embedding[Math.floor(row / 10)] ?? 0;
    const rows = Int32Array.from(examples.keys())
      .sort((a, b) => similarityOf(b) - similarityOf(a) || a - b)
      .slice(0, k);
    return await Promise.resolve({
      embedding: withEmbedding ? embedding : undefined,
      rows,
      similarities: Float32Array.from(rows, similarityOf),
      queueMs: 2,
      encodeMs: 3,
      searchMs: 4,
      batchSize: 1,
    });
  },
  close: () => Promise.resolve(),
};

/** The real classifier and the real decoder over an embedding that a test can read. */
export function createColourClassifier(calibration?: Calibration): Classifier {
  return createClassifier({
    decoder: decoderTo({ width: 8, height: 8, fit: 'fill', kernel: 'linear' }),
    inference: colourInference,
    index: { name: 'colours', version: '1', examples },
    encoder: { name: 'mean-colour', version: '2', dimension: 3 },
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
