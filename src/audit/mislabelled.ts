import type { Labelling } from './labelling.js';
import type { Suspicion } from './suspicion.js';

/** Well separated classes are as good as certain of their own: nobody needs to be surer than this of another's. */
const sureEnough = 0.9;

/**
 * The examples that are likely mislabelled, most suspicious first, by the rule of confident learning (Northcutt, Jiang
 * and Chuang 2021, arXiv:1911.00068): another label is more probable than the example's own, and at least as probable
 * as it is, in the mean, for the examples that carry that other label. So a class of which the encoder is never sure
 * asks for less, and one of which it is always sure for more.
 */
export function mislabelled(suspicions: readonly Suspicion[], labelling: Labelling): Suspicion[] {
  const thresholds = meanSelfConfidence(suspicions, labelling);
  return suspicions
    .filter(
      ({ score, suggested, suggestedProbability }) =>
        score > 0 && suggestedProbability >= Math.min(sureEnough, thresholds.get(suggested) ?? NaN),
    )
    .sort((a, b) => b.score - a.score || a.row - b.row);
}

/** Of each label, the mean probability that its own examples give it. */
function meanSelfConfidence(
  suspicions: readonly Suspicion[],
  { names, of, counts }: Labelling,
): ReadonlyMap<string, number> {
  const sums = new Float64Array(names.length);
  for (const { row, ownProbability } of suspicions) {
    const own = of[row] ?? 0;
    sums[own] = (sums[own] ?? 0) + ownProbability;
  }
  return new Map(names.map((name, label) => [name, (sums[label] ?? 0) / (counts[label] ?? 0)]));
}
