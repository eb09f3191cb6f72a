import { seededRandom } from '../domain/seeded-random.js';
import { judge, type Calibration, type Judgement } from '../vote/calibration.js';
import { confidentOf, type Answer } from './answers.js';
import { measureConfidence, type MeasuredConfidence } from './measure-confidence.js';
import { bootstrapMean, type Interval } from './metrics/bootstrap.js';

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
  readonly truths: readonly string[];
  /** Of each image, whether the calibration was fitted on it. */
  readonly fitted: readonly boolean[];
  /** Of images of no label of the index. */
  readonly strangers: readonly Answer[] | undefined;
  readonly seed: number;
}

/** Measures served confidences and outcomes on images that they were not fitted on, as far as there are any. */
export function calibratedReport(options: CalibratedReportOptions): CalibratedReport {
  const { calibration, answers, truths, fitted, strangers, seed } = options;
  const fresh = [...answers.keys()].filter((i) => fitted[i] !== true);
  const rows = fresh.length === 0 ? [...answers.keys()] : fresh;
  const confident = confidentOf(answers, truths);
  const measured = rows.flatMap((row) => {
    const [answer, one] = [answers[row], confident[row]];
    return answer === undefined || one === undefined ? [] : [{ ...one, judged: judged(calibration, answer) }];
  });
  const rateOf = (outcomes: readonly Judgement[]): Rate => {
    const called = outcomes.map(({ outcome }): number => (outcome === 'unknown' ? 1 : 0));
    return {
      value: called.reduce((sum, one) => sum + one, 0) / called.length,
      interval: bootstrapMean(called, { random: seededRandom(seed) }),
    };
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
    strangers: strangers && rateOf(strangers.map((answer) => judged(calibration, answer))),
  };
}

function judged(
  calibration: CalibratedReportOptions['calibration'],
  { scores, kthSimilarity }: Answer,
): Judgement {
  // Familiarity is of the k-th neighbour or of the vote: the others are not asked.
  return judge(calibration, { scores, similarities: [kthSimilarity] });
}
