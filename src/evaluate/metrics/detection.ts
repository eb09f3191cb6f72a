import type { Random } from '../../domain/seeded-random.js';

/**
 * Telling known from unknown images by a score that is higher for known ones. Known is the positive class, as in
 * Hendrycks & Gimpel 2017 (arXiv:1610.02136) and Sun et al. 2022 (arXiv:2204.06507).
 */
export interface DetectionScores {
  readonly known: readonly number[];
  readonly unknown: readonly number[];
}

export interface RocPoint {
  /** Known images with a score of `threshold` or more; it is Infinity at the first point. */
  readonly threshold: number;
  /** Share of known images kept: true positives. */
  readonly truePositives: number;
  /** Share of unknown images kept: false positives. */
  readonly falsePositives: number;
}

/** The whole ROC, a point for each distinct score, from (0, 0) to (1, 1). */
export function rocCurve({ known, unknown }: DetectionScores): RocPoint[] {
  const all = [
    ...known.map((score) => ({ score, isKnown: true })),
    ...unknown.map((score) => ({ score, isKnown: false })),
  ].sort((a, b) => b.score - a.score);
  const points: RocPoint[] = [{ threshold: Infinity, truePositives: 0, falsePositives: 0 }];
  let kept = 0;
  let wronglyKept = 0;
  for (const [i, { score, isKnown }] of all.entries()) {
    if (isKnown) kept++;
    else wronglyKept++;
    if (all[i + 1]?.score === score) continue;
    points.push({
      threshold: score,
      truePositives: kept / known.length,
      falsePositives: wronglyKept / unknown.length,
    });
  }
  return points;
}

/** At most about `most` points of a curve, for drawing: each is a step of its length from the one before. */
export function thinCurve(points: readonly RocPoint[], most = 200): RocPoint[] {
  // Along the curve |dx| + |dy| sums to 2.
  const step = 2 / most;
  let last = -Infinity;
  return points.filter(({ truePositives, falsePositives }, i) => {
    const along = truePositives + falsePositives;
    if (along - last < step && i !== points.length - 1) return false;
    last = along;
    return true;
  });
}

/** The chance that a known image scores higher than an unknown one, ties counting half; NaN where either is missing. */
export function auroc({ known, unknown }: DetectionScores): number {
  const sortedKnown = Float64Array.from(known).sort();
  const sortedUnknown = Float64Array.from(unknown).sort();
  let below = 0;
  let upTo = 0;
  let wins = 0;
  for (const score of sortedKnown) {
    while (below < sortedUnknown.length && (sortedUnknown[below] ?? NaN) < score) below++;
    while (upTo < sortedUnknown.length && (sortedUnknown[upTo] ?? NaN) <= score) upTo++;
    wins += (below + upTo) / 2;
  }
  return wins / (known.length * unknown.length);
}

/**
 * Area under precision and recall of the known class, as scikit-learn's `average_precision_score`: each step of recall
 * times the precision there, without interpolation. Chance is the share of known images, so it is no figure to compare
 * between sets of other sizes.
 */
export function auprc(scores: DetectionScores): number {
  const { known, unknown } = scores;
  let area = 0;
  let before = 0;
  for (const { truePositives, falsePositives } of rocCurve(scores).slice(1)) {
    const kept = truePositives * known.length;
    area += (truePositives - before) * (kept / (kept + falsePositives * unknown.length));
    before = truePositives;
  }
  return known.length === 0 || unknown.length === 0 ? NaN : area;
}

export interface OperatingPoint extends RocPoint {
  /** The rate that was asked for. */
  readonly atLeast: number;
}

/** The strictest threshold that keeps at least this share of known images: FPR at 95 % TPR, unless told. */
export function falsePositivesAt(scores: DetectionScores, atLeast = 0.95): OperatingPoint {
  const point = rocCurve(scores).find(({ truePositives }) => truePositives >= atLeast);
  return {
    ...(point ?? { threshold: NaN, truePositives: NaN, falsePositives: NaN }),
    atLeast,
  };
}

export interface DetectionDraw {
  readonly auroc: number;
  readonly aupr: number;
  /** At a true-positive rate of 95 %. */
  readonly falsePositives: number;
}

/**
 * Draws with replacement, known and unknown images each among themselves: `auroc`, `auprc` and `falsePositivesAt` of
 * each draw. The scores are ranked once, and a draw is a count at each rank.
 */
export function detectionDraws({ known, unknown }: DetectionScores, random: Random): () => DetectionDraw {
  const ranks = [...new Set([...known, ...unknown])].sort((a, b) => b - a);
  const rankOf = new Map(ranks.map((score, rank) => [score, rank]));
  const ranked = (scores: readonly number[]): Int32Array =>
    Int32Array.from(scores, (score) => rankOf.get(score) ?? 0);
  const [knownRanks, unknownRanks] = [ranked(known), ranked(unknown)];

  function draw(from: Int32Array): Int32Array {
    const counts = new Int32Array(ranks.length);
    for (let i = 0; i < from.length; i++) {
      const rank = from[Math.floor(random() * from.length)] ?? 0;
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
    return counts;
  }

  return () => {
    const [knownAt, unknownAt] = [draw(knownRanks), draw(unknownRanks)];
    let [kept, wronglyKept, wins, area, falsePositives] = [0, 0, 0, 0, NaN];
    for (let rank = 0; rank < ranks.length; rank++) {
      const [right, wrong] = [knownAt[rank] ?? 0, unknownAt[rank] ?? 0];
      wins += wrong * (kept + right / 2);
      kept += right;
      wronglyKept += wrong;
      if (right > 0) area += right * (kept / (kept + wronglyKept));
      if (Number.isNaN(falsePositives) && kept / known.length >= 0.95) {
        falsePositives = wronglyKept / unknown.length;
      }
    }
    return { auroc: wins / (known.length * unknown.length), aupr: area / known.length, falsePositives };
  };
}
