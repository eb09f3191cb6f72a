import { seededRandom } from '../domain/seeded-random.js';
import type { Answer } from './answers.js';
import { bootstrapEach, type Interval } from './metrics/bootstrap.js';
import { auprc, auroc, falsePositivesAt, rocCurve, thinCurve } from './metrics/detection.js';
import type { DetectionScores, OperatingPoint, RocPoint } from './metrics/detection.js';
import { detectionDraws, type DetectionDraw } from './metrics/detection-draws.js';

/** How well a score, higher for known images, tells them from unknown ones; known is the positive class. */
export interface UnknownRuleFigures {
  /**
   * `similarity`: to the k-th neighbour (Sun et al. 2022, arXiv:2204.06507). `vote`: the top label's score (after
   * Hendrycks & Gimpel 2017, arXiv:1610.02136).
   */
  readonly rule: 'similarity' | 'vote';
  readonly auroc: number;
  readonly aupr: number;
  /** FPR at 95 % TPR, and its threshold. */
  readonly at95: OperatingPoint;
  /** 95 %, known and unknown images drawn anew, each among themselves. */
  readonly intervals: Readonly<Record<keyof DetectionDraw, Interval>>;
  /** The ROC, thinned for drawing. */
  readonly roc: readonly RocPoint[];
}

export interface MeasureUnknownOptions {
  readonly known: readonly Answer[];
  readonly unknown: readonly Answer[];
  readonly seed: number;
}

const scoreOf = {
  similarity: ({ kthSimilarity }: Answer) => kthSimilarity,
  vote: ({ confidence }: Answer) => confidence,
};

/** Measures both rules on the same answers. */
export function measureUnknown({ known, unknown, seed }: MeasureUnknownOptions): UnknownRuleFigures[] {
  return (['similarity', 'vote'] as const).map((rule) => {
    const scores: DetectionScores = {
      known: known.map(scoreOf[rule]),
      unknown: unknown.map(scoreOf[rule]),
    };
    return {
      rule,
      auroc: auroc(scores),
      aupr: auprc(scores),
      at95: falsePositivesAt(scores),
      intervals: bootstrapEach(
        ['auroc', 'aupr', 'falsePositives'],
        detectionDraws(scores, seededRandom(seed)),
        {},
      ),
      roc: thinCurve(rocCurve(scores)),
    };
  });
}
