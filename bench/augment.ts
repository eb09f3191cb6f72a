/**
 * What a view costs on one thread, in microseconds, for images of 32 x 32 cropped to 32 and of 74 x 74 cropped to 64:
 * `npx tsx bench/augment.ts`.
 */
import { cpus } from 'node:os';
import { seededRandom, seedOf } from '../src/domain/seeded-random.js';
import { composeOperations, type Operation } from '../src/train/augment/compose.js';
import { median } from './figures.js';

const crop: Operation = { kind: 'randomResizedCrop', scale: [0.2, 1], ratio: [0.75, 4 / 3] };
const flip: Operation = { kind: 'horizontalFlip', probability: 0.5 };
const jitter: Operation = {
  kind: 'colourJitter',
  probability: 0.8,
  brightness: 0.4,
  contrast: 0.4,
  saturation: 0.4,
  hue: 0.1,
};
const grey: Operation = { kind: 'toGrey', probability: 0.2 };

const lists: Readonly<Record<string, readonly Operation[]>> = {
  'crop, flip, jitter, grey': [crop, flip, jitter, grey],
  crop: [crop],
  flip: [flip],
  jitter: [jitter],
  grey: [grey],
  'padding crop': [{ kind: 'paddingCrop', padding: 4, mode: 'reflect' }],
  rotation: [{ kind: 'rotation', degrees: 15, mode: 'reflect' }],
  cutout: [{ kind: 'cutout', probability: 1, side: 0.5, fill: 128 }],
};

const images = 1000;
const rounds = 7;

/** Microseconds a view: the median of rounds over images that differ, after one to warm up. */
function measure(operations: readonly Operation[], from: number, to: number): string {
  const augment = composeOperations(operations, to);
  const bytes = Uint8ClampedArray.from(
    { length: images * from * from * 3 },
    (_, i) => (i * 2654435761) >>> 24,
  );
  const round = (epoch: number): number => {
    const started = performance.now();
    for (let image = 0; image < images; image++) {
      const values = bytes.subarray(image * from * from * 3, (image + 1) * from * from * 3);
      const random = seededRandom(seedOf(1, epoch, image, 0));
      augment({ values, width: from, height: from }, random);
    }
    return ((performance.now() - started) * 1000) / images;
  };
  round(0);
  return median(Array.from({ length: rounds }, (_, epoch) => round(epoch + 1))).toFixed(1);
}

console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`);
console.table(
  Object.fromEntries(
    Object.entries(lists).map(([name, operations]) => [
      name,
      { '32 -> 32': measure(operations, 32, 32), '74 -> 64': measure(operations, 74, 64) },
    ]),
  ),
);
