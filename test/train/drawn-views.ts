import { seededRandom } from '../../src/domain/seeded-random.js';
import type { Operation } from '../../src/train/augment/compose.js';
import type { BatchViewsOptions } from '../../src/train/views.js';

const operations: readonly Operation[] = [
  { kind: 'randomResizedCrop', scale: [0.3, 1], ratio: [0.75, 4 / 3] },
  { kind: 'horizontalFlip', probability: 0.5 },
  { kind: 'colourJitter', probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
];

/** 24 images of noise, 10 x 10, of four classes, cropped to 8. */
export function drawnViews(changes: Partial<BatchViewsOptions> = {}): BatchViewsOptions {
  const [count, side] = [24, 10];
  const pixels = new SharedArrayBuffer(count * side * side * 3);
  const random = seededRandom(6);
  new Uint8Array(pixels).set(Uint8Array.from({ length: pixels.byteLength }, () => 256 * random()));
  const labels = Int32Array.from({ length: count }, (_, i) => i % 4);
  return { images: { pixels, side, labels }, classes: 4, operations, inputSize: 8, seed: 3, ...changes };
}
