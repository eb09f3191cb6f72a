import type { Random } from '../../domain/seeded-random.js';
import type { DetectionScores } from './detection.js';

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
