/** What a vote needs to know of a neighbour. */
export interface Ballot {
  readonly label: string;
  /** Cosine to the query. */
  readonly similarity: number;
}

/** Rows of labelled examples that were found near each of some queries, nearest first. */
export interface FoundRows {
  readonly found: {
    readonly k: number;
    /** `[queries, k]` */
    readonly rows: Int32Array;
    /** `[queries, k]`, cosine. */
    readonly similarities: Float32Array;
  };
  readonly examples: readonly { readonly label: string }[];
}

/** The ballots of a query's nearest `k`, or of as many as were found; nearest first. */
export function ballotsOf({ found, examples }: FoundRows, query: number, k: number): Ballot[] {
  const start = query * found.k;
  return Array.from({ length: Math.min(k, found.k) }, (_, i) => ({
    label: examples[found.rows[start + i] ?? -1]?.label ?? '',
    similarity: found.similarities[start + i] ?? NaN,
  }));
}
