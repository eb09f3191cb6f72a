import { NearvoteError } from '../domain/errors.js';
import { permutation, seededRandom, seedOf } from '../domain/seeded-random.js';

/** What a seed is for, so that no two uses share their numbers. */
export const streams = { view: 0, order: 1, mix: 2 } as const;

/** Which batch: the `step`-th of an epoch, both from 0. */
export interface BatchPlace {
  readonly epoch: number;
  readonly step: number;
}

/** Which images make up which batch: a function of the place alone, so training goes on anywhere exactly. */
export interface Sampler {
  readonly batchesPerEpoch: number;
  /** The images of a batch, by number. */
  batch(place: BatchPlace): Int32Array;
}

export interface SamplerOptions {
  /**
   * `plain` takes every image once an epoch, but for those that fill no whole batch; `balanced` takes every class
   * equally often, and every image of a class before one comes again.
   */
  readonly kind: 'plain' | 'balanced';
  /** Of each image. */
  readonly labels: Int32Array;
  readonly classes: number;
  /** Images in a batch. */
  readonly batch: number;
  readonly seed: number;
}

/** @throws NearvoteError `dataset_invalid` where there are fewer images than a batch takes */
export function createSampler(options: SamplerOptions): Sampler {
  const { kind, labels, batch, seed } = options;
  const batchesPerEpoch = Math.floor(labels.length / batch);
  if (batchesPerEpoch === 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected at least one batch of ${batch} images but received ${labels.length}; a smaller batch would do`,
    );
  }
  const orderOf = kind === 'plain' ? plainOrder : balancedOrder(options);
  let kept: { readonly epoch: number; readonly order: Int32Array } | undefined;

  return {
    batchesPerEpoch,
    batch: ({ epoch, step }) => {
      if (kept?.epoch !== epoch) kept = { epoch, order: orderOf(epoch, labels.length, seed) };
      return kept.order.slice(step * batch, (step + 1) * batch);
    },
  };
}

/** The next one, of the next epoch where this one is over. */
export function placeAfter({ epoch, step }: BatchPlace, batchesPerEpoch: number): BatchPlace {
  return step + 1 < batchesPerEpoch ? { epoch, step: step + 1 } : { epoch: epoch + 1, step: 0 };
}

type Order = (epoch: number, length: number, seed: number) => Int32Array;

const plainOrder: Order = (epoch, length, seed) =>
  permutation(length, seededRandom(seedOf(seed, streams.order, epoch)));

/** Rounds through all classes, each round shuffled, each class giving its images in shuffled rounds of its own. */
function balancedOrder({ labels, classes }: SamplerOptions): Order {
  const members = Array.from({ length: classes }, (): number[] => []);
  for (const [image, label] of labels.entries()) members[label]?.push(image);
  const filled = members.filter(({ length }) => length > 0);

  return (epoch, length, seed) => {
    const random = seededRandom(seedOf(seed, streams.order, epoch));
    const waiting = filled.map((): number[] => []);
    const order = new Int32Array(length);
    for (let at = 0; at < length;) {
      for (const label of permutation(filled.length, random)) {
        if (at >= length) break;
        const own = filled[label] ?? [];
        const queue = waiting[label] ?? [];
        if (queue.length === 0) for (const i of permutation(own.length, random)) queue.push(own[i] ?? 0);
        order[at++] = queue.pop() ?? 0;
      }
    }
    return order;
  };
}
