import type { Embeddings } from '../domain/embeddings.js';
import { seededRandom } from '../domain/seeded-random.js';
import { judge, type Calibration, type Judgement } from '../vote/calibration.js';
import { confidentOf, type Answer } from './measure-accuracy.js';
import {
  basicInterval,
  bootstrap,
  bootstrapMean,
  shareInterval,
  wilsonInterval,
  type Interval,
} from './metrics/intervals.js';
import {
  byCorrectness,
  expectedCalibrationError,
  figuresOf,
  lossOf,
  reliabilityBinOf,
  reliabilityBins,
  squaredErrorOf,
  usualBins,
  type ConfidenceFigures,
  type Confident,
} from './metrics/confidence.js';
import { detectionDraws } from './metrics/detection.js';

export type ConfidenceHeadline = 'accuracy' | 'ece' | 'brier' | 'nll' | 'auroc';

export interface MeasuredConfidence extends ConfidenceFigures {
  /** 95 %, Wilson's for the accuracy and by bootstrap over the answers for the others; NaN for an AUROC that is null. */
  readonly intervals: Readonly<Record<ConfidenceHeadline, Interval>>;
  /** Where the calibration error would lie, 95 %, if each confidence were the probability of being right. */
  readonly nullBand: Interval;
}

/** The figures of some answers, at least one, with intervals; each from the same seed. */
export function measureConfidence(answers: readonly Confident[], seed: number): MeasuredConfidence {
  const figures = figuresOf(answers);
  const ofMean = (of: (answer: Confident) => number): Interval =>
    bootstrapMean(answers.map(of), { random: seededRandom(seed) });
  return {
    ...figures,
    intervals: {
      accuracy: shareInterval(answers.map(({ correct }) => correct)),
      ece: eceInterval(answers, seed),
      brier: ofMean(squaredErrorOf),
      nll: ofMean(lossOf),
      auroc: aurocInterval(answers, seed),
    },
    nullBand: eceNullBand(answers, seed),
  };
}

/** The calibration errors, in 15 bins, of answers that are right exactly as often as these confidences say: 95 %. */
export function eceNullBand(answers: readonly Confident[], seed: number): Interval {
  const random = seededRandom(seed);
  const bins = Int32Array.from(answers, ({ confidence }) => reliabilityBinOf(confidence));
  return bootstrap(() => {
    const gaps = new Float64Array(usualBins);
    for (const [i, { confidence }] of answers.entries()) {
      const bin = bins[i] ?? 0;
      gaps[bin] = (gaps[bin] ?? 0) + confidence - (random() < confidence ? 1 : 0);
    }
    return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / answers.length;
  }, {});
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

export interface Rate {
  readonly value: number;
  readonly interval: Interval;
}

/** What the calibration that is served makes of the answers. */
export interface CalibratedReport {
  /** All images, and how many of them it was fitted on. */
  readonly of: number;
  readonly fittedOn: number;
  /** Images measured on: those that it was not fitted on, or all where there is no other. */
  readonly images: number;
  /** Of the share of the vote as confidence, and of what is served in its place. */
  readonly share: MeasuredConfidence;
  readonly confidence: MeasuredConfidence;
  /** Images are called unknown where their p-value is below. */
  readonly epsilon: number;
  /** Images called unknown, though the index has their label. */
  readonly unknown: Rate;
  /** Of the images of no label of the index, those called unknown. */
  readonly strangers: Rate | undefined;
}

export interface CalibratedReportOptions {
  readonly calibration: Pick<Calibration, 'confidence' | 'unknown'>;
  /** Voted with the calibration's own k, rule and temperature. */
  readonly answers: readonly Answer[];
  /** Of each answer's image. */
  readonly embeddings: Embeddings;
  readonly truths: readonly string[];
  /** Of each image, whether the calibration was fitted on it. */
  readonly fitted: readonly boolean[];
  /** Of images of no label of the index. */
  readonly strangers: { readonly answers: readonly Answer[]; readonly embeddings: Embeddings } | undefined;
  readonly seed: number;
}

/** Measures served confidences and outcomes on images that they were not fitted on, as far as there are any. */
export function calibratedReport(options: CalibratedReportOptions): CalibratedReport {
  const { calibration, answers, embeddings, truths, fitted, strangers, seed } = options;
  const fresh = [...answers.keys()].filter((i) => fitted[i] !== true);
  const rows = fresh.length === 0 ? [...answers.keys()] : fresh;
  const confident = confidentOf(answers, truths);
  const judgements = judgementsOf(calibration, { answers, embeddings });
  const measured = rows.flatMap((row) => {
    const [judged, one] = [judgements[row], confident[row]];
    return judged === undefined || one === undefined ? [] : [{ ...one, judged }];
  });
  const rateOf = (outcomes: readonly Judgement[]): Rate => {
    const called = outcomes.filter(({ outcome }) => outcome === 'unknown').length;
    return { value: called / outcomes.length, interval: wilsonInterval(called, outcomes.length) };
  };
  return {
    of: answers.length,
    fittedOn: answers.length - fresh.length,
    images: measured.length,
    share: measureConfidence(measured, seed),
    confidence: measureConfidence(
      measured.map(({ judged: { confidence }, correct }) => ({ confidence, correct })),
      seed,
    ),
    epsilon: calibration.unknown.epsilon,
    unknown: rateOf(measured.map((one) => one.judged)),
    strangers: strangers && rateOf(judgementsOf(calibration, strangers)),
  };
}

function judgementsOf(
  calibration: CalibratedReportOptions['calibration'],
  { answers, embeddings }: Pick<CalibratedReportOptions, 'answers' | 'embeddings'>,
): Judgement[] {
  const { dimension, values } = embeddings;
  return answers.map((answer, row) =>
    judge(calibration, answer, values.subarray(row * dimension, (row + 1) * dimension)),
  );
}
