/** One thing that the neighbours say about the data, a line of JSON. */
interface Found {
  /** Of the index's examples that it is about. */
  readonly ids: readonly string[];
  /** Of each of `ids`. */
  readonly labels: readonly string[];
  /** What to do, for a person to read. */
  readonly suggestion: string;
}

/** `score`: log odds of `suggested` against the label, above 0. */
export interface MislabelledFinding extends Found {
  readonly kind: 'mislabelled';
  readonly score: number;
  readonly suggested: string;
  /** The label's share of the neighbours' vote, and that of `suggested`. */
  readonly shares: { readonly own: number; readonly suggested: number };
}

/** `score`: the lowest cosine of the links that join them. Of one label, or `conflicting-duplicates` of several. */
export interface DuplicatesFinding extends Found {
  readonly kind: 'duplicates' | 'conflicting-duplicates';
  readonly score: number;
}

/** `score`: the highest cosine of the test image to one of `ids`. */
export interface LeakFinding extends Found {
  readonly kind: 'leak';
  readonly score: number;
  readonly test: { readonly id: string; readonly label: string };
}

/** `labels` are the two, `ids` is empty. `score`: the symmetric confusion rate. */
export interface OverlapFinding extends Found {
  readonly kind: 'overlap';
  readonly score: number;
}

/** `score`: how many held-out votes it took part in. */
export interface DroppableFinding extends Found {
  readonly kind: 'droppable';
  readonly score: number;
}

export type Finding =
  MislabelledFinding | DuplicatesFinding | LeakFinding | OverlapFinding | DroppableFinding;
