import { seededRandom } from '../domain/seeded-random.js';
import { basicInterval, bootstrap, bootstrapMean, type Interval } from './metrics/bootstrap.js';
import { byCorrectness, figuresOf, lossOf, squaredErrorOf } from './metrics/confidence.js';
import type { ConfidenceFigures } from './metrics/confidence.js';
import { detectionDraws } from './metrics/detection-draws.js';
import { expectedCalibrationError, reliabilityBinOf, reliabilityBins } from './metrics/probability.js';
import { usualBins, type Confident } from './metrics/probability.js';

export type ConfidenceHeadline = 'accuracy' | 'ece' | 'brier' | 'nll' | 'auroc';

export interface MeasuredConfidence extends ConfidenceFigures {
  /** 95 %, by bootstrap over the answers; NaN for an AUROC that is null. */
  readonly intervals: Readonly<Record<ConfidenceHeadline, Interval>>;
}

/** The figures of some answers, at least one, with intervals; each from the same seed. */
export function measureConfidence(answers: readonly Confident[], seed: number): MeasuredConfidence {
  const figures = figuresOf(answers);
  const ofMean = (of: (answer: Confident) => number): Interval =>
    bootstrapMean(answers.map(of), { random: seededRandom(seed) });
  return {
    ...figures,
    intervals: {
      accuracy: ofMean(({ correct }) => (correct ? 1 : 0)),
      ece: eceInterval(answers, seed),
      brier: ofMean(squaredErrorOf),
      nll: ofMean(lossOf),
      auroc: aurocInterval(answers, seed),
    },
  };
}

/** Of the expected calibration error in 15 bins. */
export function eceInterval(answers: readonly Confident[], seed: number): Interval {
  const random = seededRandom(seed);
  const bins = Int32Array.from(answers, ({ confidence }) => reliabilityBinOf(confidence));
  const gaps = Float64Array.from(answers, ({ confidence, correct }) => confidence - (correct ? 1 : 0));
  // Count times |accuracy - confidence| of a bin is the size of the sum of the gaps in it.
  const drawn = bootstrap(() => {
    const sums = new Float64Array(usualBins);
    for (let i = 0; i < gaps.length; i++) {
      const at = Math.floor(random() * gaps.length);
      const bin = bins[at] ?? 0;
      sums[bin] = (sums[bin] ?? 0) + (gaps[at] ?? NaN);
    }
    return sums.reduce((sum, gap) => sum + Math.abs(gap), 0) / gaps.length;
  }, {});
  const { low, high } = basicInterval(expectedCalibrationError(reliabilityBins(answers)), drawn);
  return { low: Math.max(0, low), high };
}

/** Right and wrong answers are drawn each among themselves: never none of either. */
function aurocInterval(answers: readonly Confident[], seed: number): Interval {
  const { known, unknown } = byCorrectness(answers);
  if (known.length === 0 || unknown.length === 0) return { low: NaN, high: NaN };
  const draw = detectionDraws({ known, unknown }, seededRandom(seed));
  return bootstrap(() => draw().auroc, {});
}
