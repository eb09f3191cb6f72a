import { NearvoteError } from '../../domain/errors.js';

/** One image looked up among labelled references, itself left out where it is one of them. */
export interface RankedQuery {
  readonly label: string;
  /** Labels of the references nearest first: at least `sameLabel` of them, and one. */
  readonly neighbours: readonly string[];
  /** R: how many references share its label, the query itself not counted. */
  readonly sameLabel: number;
}

/** What the neighbours of one query are worth, each from 0 to 1. */
export interface QueryRetrieval {
  /** 1 where the nearest has the same label. */
  readonly precisionAt1: number;
  /** The share of the R nearest with the same label. */
  readonly rPrecision: number;
  /** The sum of precision@i over the i <= R whose neighbour has the same label, divided by R. */
  readonly averagePrecisionAtR: number;
  /** The place of the nearest of the same label, from 1; Infinity where none of the neighbours has it. */
  readonly firstHit: number;
}

/**
 * Scores one query; undefined for a lone one, whose label no reference has: that says nothing of the embeddings, so it
 * is left out of the averages. The definitions are pytorch-metric-learning's
 * (https://kevinmusgrave.github.io/pytorch-metric-learning/accuracy_calculation/), MAP@R that of Musgrave et al. 2020
 * (arXiv:2003.08505, section 3.2).
 * @throws NearvoteError `internal` when it has fewer neighbours than R
 */
export function scoreRetrieval({ label, neighbours, sameLabel }: RankedQuery): QueryRetrieval | undefined {
  if (sameLabel === 0) return undefined;
  if (neighbours.length < sameLabel) {
    throw new NearvoteError(
      'internal',
      `Expected at least ${sameLabel} neighbours, as many as share the label, but received ${neighbours.length}`,
    );
  }
  let hits = 0;
  let precisions = 0;
  for (let i = 0; i < sameLabel; i++) {
    if (neighbours[i] !== label) continue;
    hits++;
    precisions += hits / (i + 1);
  }
  const first = neighbours.indexOf(label);
  return {
    precisionAt1: neighbours[0] === label ? 1 : 0,
    rPrecision: hits / sameLabel,
    averagePrecisionAtR: precisions / sameLabel,
    firstHit: first === -1 ? Infinity : first + 1,
  };
}

export interface Retrieval {
  /** Those averaged over; the lone ones are not among them. */
  readonly queries: number;
  readonly precisionAt1: number;
  readonly rPrecision: number;
  readonly mapAtR: number;
}

/** Means over the queries that are not lone; NaN where all are. */
export function averageRetrieval(scores: readonly QueryRetrieval[]): Retrieval {
  const mean = (of: (one: QueryRetrieval) => number): number =>
    scores.reduce((sum, one) => sum + of(one), 0) / scores.length;
  return {
    queries: scores.length,
    precisionAt1: mean(({ precisionAt1 }) => precisionAt1),
    rPrecision: mean(({ rPrecision }) => rPrecision),
    mapAtR: mean(({ averagePrecisionAtR }) => averagePrecisionAtR),
  };
}

/**
 * Retrieval recall@k: the share of queries with an example of their label among their k nearest, as in metric learning
 * since Jégou et al. 2011; lone queries are left out. NaN where all are lone.
 */
export function retrievalRecall(scores: readonly QueryRetrieval[], k: number): number {
  return scores.filter(({ firstHit }) => firstHit <= k).length / scores.length;
}
