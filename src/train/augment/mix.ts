import { permutation, type Random } from '../../domain/seeded-random.js';
import { below } from './pixels.js';

export interface MixOptions {
  /** `mixup` (arXiv:1710.09412) blends two views, `cutmix` (arXiv:1905.04899) pastes a box of one into the other. */
  readonly kind: 'mixup' | 'cutmix';
  /** How much of each view stays is drawn from Beta(alpha, alpha), once a batch. */
  readonly alpha: number;
  /** Of a batch being mixed at all. */
  readonly probability: number;
}

/** Views and what they show. */
export interface SoftBatch {
  /** uint8 RGB `[views, size, size, 3]` */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** `[views, classes]`, each row adding up to 1 */
  readonly labels: Float32Array<ArrayBuffer>;
  readonly views: number;
  readonly size: number;
}

/** Mixes each view with another of the batch, and its label row in the same proportion. */
export function mixBatch(batch: SoftBatch, options: MixOptions, random: Random): SoftBatch {
  if (random() >= options.probability) return batch;
  const { views, size } = batch;
  const kept = betaSample(options.alpha, random);
  const partners = permutation(views, random);
  if (options.kind === 'mixup') {
    return {
      ...batch,
      pixels: blendRows(batch.pixels, new Uint8ClampedArray(batch.pixels.length), { partners, kept }),
      labels: blendLabels(batch.labels, partners, kept),
    };
  }
  const box = drawBox(size, 1 - kept, random);
  const share = ((box.right - box.left) * (box.bottom - box.top)) / (size * size);
  return {
    ...batch,
    pixels: pasteBoxes(batch, partners, box),
    // By what was pasted, which is less than what was drawn where the border cut it.
    labels: blendLabels(batch.labels, partners, 1 - share),
  };
}

interface Blend {
  readonly partners: Int32Array;
  readonly kept: number;
}

function blendRows(
  rows: Uint8Array,
  into: Uint8ClampedArray<ArrayBuffer>,
  { partners, kept }: Blend,
): Uint8Array<ArrayBuffer> {
  const length = rows.length / partners.length;
  for (const [row, partner] of partners.entries()) {
    const [own, other] = [row * length, partner * length];
    for (let i = 0; i < length; i++) {
      into[own + i] = kept * (rows[own + i] ?? 0) + (1 - kept) * (rows[other + i] ?? 0);
    }
  }
  return new Uint8Array(into.buffer);
}

function blendLabels(labels: Float32Array, partners: Int32Array, kept: number): Float32Array<ArrayBuffer> {
  const length = labels.length / partners.length;
  return Float32Array.from(labels, (own, at) => {
    const [row, label] = [Math.floor(at / length), at % length];
    return kept * own + (1 - kept) * (labels[(partners[row] ?? 0) * length + label] ?? 0);
  });
}

interface Corners {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A square of that share of the area around a random pixel, clipped at the border. */
function drawBox(size: number, share: number, random: Random): Corners {
  const side = Math.floor(size * Math.sqrt(share));
  const left = below(random, size) - (side >> 1);
  const top = below(random, size) - (side >> 1);
  return {
    left: Math.max(0, left),
    right: Math.min(size, left + side),
    top: Math.max(0, top),
    bottom: Math.min(size, top + side),
  };
}

function pasteBoxes(
  { pixels, size }: SoftBatch,
  partners: Int32Array,
  box: Corners,
): Uint8Array<ArrayBuffer> {
  const out = pixels.slice();
  for (const [view, partner] of partners.entries()) {
    for (let y = box.top; y < box.bottom; y++) {
      const from = ((partner * size + y) * size + box.left) * 3;
      const to = ((view * size + y) * size + box.left) * 3;
      out.set(pixels.subarray(from, from + (box.right - box.left) * 3), to);
    }
  }
  return out;
}

/** Jöhnk 1964: exact for any alpha, and quick for the small ones that mixing uses. */
function betaSample(alpha: number, random: Random): number {
  for (;;) {
    const x = random() ** (1 / alpha);
    const y = random() ** (1 / alpha);
    if (x + y <= 1 && x + y > 0) return x / (x + y);
  }
}
