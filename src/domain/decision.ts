/** A labelled image in the index. `source` is relative to its dataset. */
export interface Example {
  readonly id: string;
  readonly label: string;
  readonly source: string;
}

/** An example with its cosine similarity to a query, higher is nearer. */
interface Neighbour extends Example {
  readonly similarity: number;
}

export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** The label of examples that show what the index does not know: an image that is taken for one is unknown. */
export const noneLabel = 'none';

/** What the neighbours decided about one image. */
export interface Decision {
  readonly id: string;
  readonly label: string;
  /** Uncalibrated: the top label's share of the vote. Calibrated: the probability that the label is right. */
  readonly confidence: number;
  /** Where a calibration is served: the conformal p-value of the image being known; unknown is below its epsilon. */
  readonly pValue?: number;
  /**
   * `unknown`: less like the index than nearly all known images are, or of the label `none`; label, scores and neighbours
   * are what came nearest.
   */
  readonly outcome: 'known' | 'unknown';
  readonly calibrated: boolean;
  /** Where a calibration is served: how far the index has moved away from it. */
  readonly calibration?: {
    /** The version that it was fitted for. */
    readonly fittedFor: string;
    /** Share of the examples that changed since, 0 to 1. */
    readonly changedSince: number;
    /** It should be fitted anew. */
    readonly stale: boolean;
  };
  /** Every label that got votes, best first; scores sum to 1. */
  readonly scores: readonly LabelScore[];
  /** Nearest first. */
  readonly neighbours: readonly Neighbour[];
  /** What was searched: a version, with all changes up to a sequence number. */
  readonly index: { readonly name: string; readonly version: string; readonly sequence: number };
  readonly encoder: { readonly name: string; readonly version: string };
}
