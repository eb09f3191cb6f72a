import { sampleRows } from '../domain/seeded-random.js';
import type { ConfidenceFigures, Confident } from '../evaluate/metrics/confidence.js';
import { quantileBins } from '../vote/bins.js';
import type { Calibration, VoteSettings } from '../vote/calibration.js';
import { keptShareOf, thresholdOf, type UnknownRule, type UnknownTest } from '../vote/unknown.js';
import type { CalibrationFile } from '../examples/calibration-file.js';
import { fitConfidence, type FittedConfidence } from './fit-confidence.js';
import { fitVote, votesOf, type Neighbourhoods } from './fit-vote.js';

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

/** A subset drawn by chance keeps the guarantee; more would only make the file larger. */
const mostFamiliarities = 20_000;
const decimals = 1e6;

interface FitUnknownOptions {
  readonly rule: UnknownRule;
  /** In (0, 1). */
  readonly epsilon: number;
  /** A permutation of the numbers of the familiarities, from which a subset is taken where there are too many. */
  readonly order: ArrayLike<number>;
}

/** The conformal test from the familiarities of known images that nothing else was fitted on. */
function fitUnknown(familiarities: readonly number[], options: FitUnknownOptions): UnknownTest {
  const { rule, epsilon, order } = options;
  const chosen = Array.from(order)
    .slice(0, mostFamiliarities)
    .map((i) => roundDown(familiarities[i] ?? NaN));
  return { rule, epsilon, familiarities: chosen.sort((a, b) => a - b) };
}

/**
 * To six decimals, never up: a calibration image that counts as less familiar than it was makes p-values larger, so
 * the share of known images rejected stays at most epsilon.
 */
export function roundDown(value: number): number {
  const rounded = Math.floor(value * decimals) / decimals;
  return rounded > value ? (Math.floor(value * decimals) - 1) / decimals : rounded;
}

export interface CalibrationOrigin {
  readonly index: CalibrationFile['index'];
  readonly encoder: CalibrationFile['encoder'];
  readonly createdAt: Date;
  readonly dataset: string;
  readonly seed: number;
  /** Images that are in the index too. */
  readonly overlap: number;
  /** Of the images that k and T were not chosen on. */
  readonly figures: { readonly before: ConfidenceFigures; readonly after: ConfidenceFigures };
  /** As fingerprintsOf makes them, of every image. */
  readonly fingerprints: string;
}

/** A fitted calibration as calibration.json holds it. */
export function describeCalibration(
  { calibration, images }: FittedCalibration,
  origin: CalibrationOrigin,
): CalibrationFile {
  const { vote, confidence, unknown, topSimilarity } = calibration;
  const threshold = thresholdOf(unknown);
  return {
    schemaVersion: 1,
    index: origin.index,
    encoder: origin.encoder,
    createdAt: origin.createdAt.toISOString(),
    dataset: origin.dataset,
    seed: origin.seed,
    images,
    overlap: origin.overlap,
    vote,
    confidence: copyOf(confidence),
    unknown: {
      rule: unknown.rule,
      epsilon: unknown.epsilon,
      familiarities: [...unknown.familiarities],
      threshold: threshold ?? null,
      truePositiveRate: keptShareOf(unknown, threshold),
    },
    topSimilarity: { edges: [...topSimilarity.edges], counts: [...topSimilarity.counts] },
    figures: { before: headline(origin.figures.before), after: headline(origin.figures.after) },
    fingerprints: origin.fingerprints,
  };
}

function copyOf(confidence: FittedCalibration['calibration']['confidence']): CalibrationFile['confidence'] {
  return confidence.kind === 'temperature'
    ? confidence
    : { ...confidence, shares: [...confidence.shares], probabilities: [...confidence.probabilities] };
}

function headline({
  accuracy,
  ece,
  brier,
  nll,
  auroc,
}: ConfidenceFigures): CalibrationFile['figures']['after'] {
  return { accuracy, ece, brier, nll, auroc };
}
