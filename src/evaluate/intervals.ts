import { seededRandom } from '../domain/seeded-random.js';
import { eceInterval } from './measure-confidence.js';
import type { Judged } from './metrics/accuracy.js';
import { bootstrapEach, bootstrapMean, drawAgain, type Interval } from './metrics/bootstrap.js';
import { classScores, macroScores } from './metrics/confusion.js';
import { brierOf, negativeLogLikelihoodOf, type Confident, type Scored } from './metrics/probability.js';
import type { QueryRetrieval } from './metrics/retrieval.js';

/** The figures that get an interval here; those of clusters and of unknown images come with them. */
export type Headline =
  | 'accuracy'
  | 'top5'
  | 'macroPrecision'
  | 'macroRecall'
  | 'macroF1'
  | 'precisionAt1'
  | 'rPrecision'
  | 'mapAtR'
  | 'ece'
  | 'brier'
  | 'nll';

export interface IntervalsOptions {
  readonly judged: readonly Judged[];
  readonly scored: readonly Scored[];
  readonly confident: readonly Confident[];
  readonly retrieved: readonly QueryRetrieval[];
  readonly seed: number;
}

/** 95 % intervals over the images, each from the same seed: adding one changes no other. */
export function intervalsOf(options: IntervalsOptions): Record<Headline, Interval> {
  const { judged, scored, confident, retrieved, seed } = options;
  const ofMean = (values: readonly number[]): Interval =>
    bootstrapMean(values, { random: seededRandom(seed) });
  const random = seededRandom(seed);
  const macro = bootstrapEach(
    ['precision', 'recall', 'f1'],
    () => macroScores(classScores(drawAgain(judged, random))),
    {},
  );
  return {
    accuracy: ofMean(judged.map(({ truth, predicted }) => (truth === predicted ? 1 : 0))),
    top5: ofMean(
      scored.map(({ truth, scores }) => (scores.slice(0, 5).some(({ label }) => label === truth) ? 1 : 0)),
    ),
    macroPrecision: macro.precision,
    macroRecall: macro.recall,
    macroF1: macro.f1,
    precisionAt1: ofMean(retrieved.map(({ precisionAt1 }) => precisionAt1)),
    rPrecision: ofMean(retrieved.map(({ rPrecision }) => rPrecision)),
    mapAtR: ofMean(retrieved.map(({ averagePrecisionAtR }) => averagePrecisionAtR)),
    ece: eceInterval(confident, seed),
    brier: ofMean(scored.map(brierOf)),
    nll: ofMean(scored.map(negativeLogLikelihoodOf)),
  };
}
