import type { NearestRows } from '../neighbours/searcher.js';

export interface CondenseOptions {
  /** Of each row of the index. */
  readonly labels: readonly string[];
  /** Every row once: of each label the first `startPerLabel` are kept from the start. */
  readonly order: Int32Array;
  readonly startPerLabel: number;
  /** The neighbours that vote on each held-out image in the whole index, `[count, k]`. */
  readonly heldOut: NearestRows;
  /** What the whole index makes of each held-out image. */
  readonly votes: readonly string[];
  /** What these rows alone, ascending, make of each. */
  readonly revote: (kept: Int32Array) => Promise<readonly string[]>;
}

export interface Condensed {
  /** Ascending; together every row. */
  readonly kept: Int32Array;
  readonly dropped: Int32Array;
  /** Times that the held-out images were voted on again; the last found no vote changed. */
  readonly rounds: number;
}

/** Rounds in which an image whose vote changed gets one neighbour back; after them it gets all of them. */
const gentleRounds = 12;

/**
 * Finds rows that can be dropped together without changing any vote on held-out images, by the condensed nearest
 * neighbour rule (Hart 1968, IEEE Transactions on Information Theory 14, 515-516) for k voters: start from a few of
 * each label; as long as votes differ from the whole index's, give each image concerned the nearest of its own voters
 * that is missing, of the label that should win if there is one. It ends, since every round keeps more and an image
 * with all its voters back votes as it did; and what it returns has been voted on. It says nothing of other images.
 */
export async function condense(options: CondenseOptions): Promise<Condensed> {
  const { labels, heldOut, votes, revote } = options;
  const isKept = startingRows(options);
  for (let rounds = 1; ; rounds++) {
    const kept = rowsWhere(isKept, true);
    const now = await revote(kept);
    const changed = votes.flatMap((vote, query) => (now[query] === vote ? [] : [query]));
    if (changed.length === 0) return { kept, dropped: rowsWhere(isKept, false), rounds };
    let added = 0;
    const keep = (row: number): void => {
      if (isKept[row] === true) return;
      isKept[row] = true;
      added++;
    };
    for (const query of changed) {
      const voters = heldOut.rows.subarray(query * heldOut.k, (query + 1) * heldOut.k);
      if (rounds > gentleRounds) voters.forEach(keep);
      else {
        const missing = voters.filter((row) => isKept[row] === false);
        const next = missing.find((row) => labels[row] === votes[query]) ?? missing[0];
        if (next !== undefined) keep(next);
      }
    }
    // Only rounding can do this: a tie that falls the other way in a smaller matrix. Then nothing is safe to drop.
    if (added === 0) isKept.fill(true);
  }
}

function startingRows({ labels, order, startPerLabel }: CondenseOptions): boolean[] {
  const isKept = labels.map(() => false);
  const counts = new Map<string, number>();
  for (const row of order) {
    const label = labels[row] ?? '';
    const count = counts.get(label) ?? 0;
    if (count >= startPerLabel) continue;
    counts.set(label, count + 1);
    isKept[row] = true;
  }
  return isKept;
}

function rowsWhere(isKept: readonly boolean[], value: boolean): Int32Array {
  return Int32Array.from(isKept.flatMap((kept, row) => (kept === value ? [row] : [])));
}
