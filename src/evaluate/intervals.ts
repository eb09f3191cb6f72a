import { seededRandom } from '../domain/seeded-random.js';
import type { Judged } from './metrics/accuracy.js';
import { bootstrap, bootstrapMean, drawAgain, type Interval } from './metrics/bootstrap.js';
import { classScores, macroScores } from './metrics/confusion.js';
import { brierOf, negativeLogLikelihoodOf, type Scored } from './metrics/probability.js';
import type { QueryRetrieval } from './metrics/retrieval.js';

/**
 * The figures that get an interval. The ECE has none: its bins take on noise at every draw, so what is drawn anew lies
 * above it.
 */
export type Headline =
  'accuracy' | 'top5' | 'macroF1' | 'precisionAt1' | 'rPrecision' | 'mapAtR' | 'brier' | 'nll';

export interface IntervalsOptions {
  readonly judged: readonly Judged[];
  readonly scored: readonly Scored[];
  readonly retrieved: readonly QueryRetrieval[];
  readonly seed: number;
}

/** 95 % intervals over the images, each from the same seed: adding one changes no other. */
export function intervalsOf(options: IntervalsOptions): Record<Headline, Interval> {
  const { judged, scored, retrieved, seed } = options;
  const ofMean = (values: readonly number[]): Interval =>
    bootstrapMean(values, { random: seededRandom(seed) });
  const random = seededRandom(seed);
  return {
    accuracy: ofMean(judged.map(({ truth, predicted }) => (truth === predicted ? 1 : 0))),
    top5: ofMean(
      scored.map(({ truth, scores }) => (scores.slice(0, 5).some(({ label }) => label === truth) ? 1 : 0)),
    ),
    macroF1: bootstrap(() => macroScores(classScores(drawAgain(judged, random))).f1, {}),
    precisionAt1: ofMean(retrieved.map(({ precisionAt1 }) => precisionAt1)),
    rPrecision: ofMean(retrieved.map(({ rPrecision }) => rPrecision)),
    mapAtR: ofMean(retrieved.map(({ averagePrecisionAtR }) => averagePrecisionAtR)),
    brier: ofMean(scored.map(brierOf)),
    nll: ofMean(scored.map(negativeLogLikelihoodOf)),
  };
}
