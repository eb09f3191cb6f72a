import type { Checkpoint } from '../../src/train/checkpoint.js';

export const configOf = { name: 'one', hash: 'ab'.repeat(32) };

/** Every value of every tensor is `step`; `values` of them in all. */
export function aCheckpoint(step: number, values = 12): Checkpoint {
  return {
    config: configOf,
    step,
    place: { epoch: 2, step: 5 },
    losses: { sum: 0.1 + 0.7, count: 2 },
    elapsedSeconds: 0.1 + 0.2,
    best: { metric: 'precision@1', value: 0.875, step: 3 },
    history: [{ step: 1, loss: 1 / 3 }],
    tensors: {
      'conv.weight': new Float32Array(values / 2).fill(step),
      'conv.weight/momentum': new Float32Array(values / 2).fill(step),
    },
  };
}
