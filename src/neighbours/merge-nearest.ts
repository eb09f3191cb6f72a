/** For each of some queries its `k` nearest so far, nearest first: `rows` and `similarities` are `[count, k]`. */
export interface Ranking {
  readonly k: number;
  readonly rows: Int32Array;
  readonly similarities: Float32Array;
}

export interface MergeNearestOptions {
  readonly first: Ranking;
  /** Of rows that all come after those of `first`: so among equals, `first` goes first. */
  readonly second: Ranking;
  readonly count: number;
  /** How many to keep of each query; fewer where both together have fewer. */
  readonly k: number;
}

/** Merges the rankings of two stretches of rows into one, equal similarities in row order. */
export function mergeNearest({ first, second, count, k }: MergeNearestOptions): Ranking {
  const kept = Math.min(k, first.k + second.k);
  const rows = new Int32Array(count * kept);
  const similarities = new Float32Array(count * kept);
  for (let query = 0; query < count; query++) {
    let a = query * first.k;
    let b = query * second.k;
    const aEnd = a + first.k;
    const bEnd = b + second.k;
    for (let out = query * kept; out < (query + 1) * kept; out++) {
      const fromFirst =
        b === bEnd || (a < aEnd && (first.similarities[a] ?? NaN) >= (second.similarities[b] ?? NaN));
      const source = fromFirst ? first : second;
      const at = fromFirst ? a++ : b++;
      rows[out] = source.rows[at] ?? -1;
      similarities[out] = source.similarities[at] ?? NaN;
    }
  }
  return { k: kept, rows, similarities };
}
