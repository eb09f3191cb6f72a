import { sampleRows } from '../build/sample-rows.js';
import type { Confident } from '../evaluate/metrics/probability.js';
import { quantileBins } from '../vote/bins.js';
import type { Calibration, VoteSettings } from '../vote/calibration.js';
import type { UnknownRule } from '../vote/unknown.js';
import { fitConfidence, type FittedConfidence } from './fit-confidence.js';
import { fitUnknown } from './fit-unknown.js';
import { fitVote } from './fit-vote.js';
import { votesOf, type Neighbourhoods } from './voted.js';

export interface FitCalibrationOptions {
  /** How the pair votes without a calibration: what the figures before are of. */
  readonly settings: VoteSettings;
  /** The k's and T's to choose from; where both have one value no image is spent on choosing. */
  readonly ks: readonly number[];
  readonly temperatures: readonly number[];
  readonly unknownRule: UnknownRule;
  readonly epsilon: number;
  readonly seed: number;
}

export interface FittedCalibration {
  readonly calibration: Calibration;
  /** Images that chose k and T, and images that everything else was fitted on. */
  readonly images: { readonly vote: number; readonly calibration: number };
  /**
   * Of the second set: `before` with the settings from before and the share of the vote as confidence, `after` with
   * the confidence of each image by a map fitted without it.
   */
  readonly answers: { readonly before: readonly Confident[]; readonly after: readonly Confident[] };
  /** Images of the second set to which the new k and T give another label; the confidence map gives none. */
  readonly relabelled: number;
  readonly losses: FittedConfidence['losses'];
}

const driftBins = 10;

/**
 * Fits a calibration. A quarter of the images, drawn by the seed, chooses k and T; the rest is left for what needs
 * images that nothing has been fitted on: the conformal scores, whose guarantee rests on it, and the confidence map.
 * @param neighbourhoodsAt the same images with their k nearest examples: a search may find others at another k
 */
export async function fitCalibration(
  neighbourhoodsAt: (k: number) => Promise<Neighbourhoods>,
  options: FitCalibrationOptions,
): Promise<FittedCalibration> {
  const { unknownRule, epsilon, seed, settings: former } = options;
  const widest = await neighbourhoodsAt(Math.max(...options.ks));
  const count = widest.truths.length;
  const order = Array.from(sampleRows({ size: count, count, seed }));
  const isFixed = options.ks.length === 1 && options.temperatures.length === 1;
  const spent = isFixed ? 0 : Math.floor(count / 4);
  const settings = fitVote(widest, { ...options, images: order.slice(0, spent) });
  const images = order.slice(spent);

  const before = votesOf(await neighbourhoodsAt(former.k), { images, settings: former });
  const hoods = await neighbourhoodsAt(settings.k);
  const after = votesOf(hoods, { images, settings });
  // Their order is random already.
  const inOrder = Array.from(images.keys());
  const confidence = fitConfidence(after, inOrder);
  const unknown = fitUnknown(
    after.map(({ familiarity }) => familiarity[unknownRule]),
    { rule: unknownRule, epsilon, order: inOrder },
  );
  const topSimilarity = quantileBins(
    images.map((image) => hoods.found.similarities[image * hoods.found.k] ?? NaN),
    driftBins,
  );
  return {
    calibration: { vote: settings, confidence: confidence.map, unknown, topSimilarity },
    images: { vote: spent, calibration: images.length },
    answers: {
      before: before.map(({ share, correct }) => ({ confidence: share, correct })),
      after: after.map(({ correct }, i) => ({ confidence: confidence.heldOut[i] ?? NaN, correct })),
    },
    relabelled: after.filter(({ label }, i) => label !== before[i]?.label).length,
    losses: confidence.losses,
  };
}
