import type { IsotonicMap } from '../vote/confidence.js';
import type { Answered } from './fit-sigmoid.js';

/** Answers whose shares lie between two shares, both counted. */
interface Block {
  readonly from: number;
  to: number;
  count: number;
  right: number;
}

/**
 * The never-falling map with the least squared error, by pooling adjacent violators (Ayer et al. 1955), as scikit-learn's
 * IsotonicRegression: each pooled block is level and straight lines join the blocks. Probabilities stay 1 / (n + 2)
 * away from 0 and 1, as Laplace's rule has it for n answers that were all right.
 */
export function fitIsotonic(answers: readonly Answered[]): IsotonicMap {
  const blocks: Block[] = [];
  for (const { share, correct } of answers.toSorted((a, b) => a.share - b.share)) {
    const last = blocks.at(-1);
    if (last?.from === share && last.to === share) {
      // The same share has one probability.
      last.count++;
      if (correct) last.right++;
    } else {
      pool(blocks);
      blocks.push({ from: share, to: share, count: 1, right: correct ? 1 : 0 });
    }
  }
  pool(blocks);
  const least = 1 / (answers.length + 2);
  const shares: number[] = [];
  const probabilities: number[] = [];
  for (const { from, to, count, right } of blocks) {
    const probability = Math.min(Math.max(right / count, least), 1 - least);
    for (const share of from === to ? [from] : [from, to]) {
      shares.push(share);
      probabilities.push(probability);
    }
  }
  return { kind: 'isotonic', shares, probabilities };
}

/** Joins the last block to those before it until none is right more often than the one after it. */
function pool(blocks: Block[]): void {
  for (;;) {
    const [before, last] = blocks.slice(-2);
    if (before === undefined || last === undefined) return;
    // before.right / before.count <= last.right / last.count, without rounding.
    if (before.right * last.count <= last.right * before.count) return;
    before.to = last.to;
    before.count += last.count;
    before.right += last.right;
    blocks.pop();
  }
}
