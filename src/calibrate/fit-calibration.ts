import type { Embeddings } from '../domain/embeddings.js';
import type { Example } from '../domain/decision.js';
import { sampleRows } from '../domain/seeded-random.js';
import { answersOf, type Answer } from '../evaluate/measure-accuracy.js';
import type { ConfidenceFigures, Confident } from '../evaluate/metrics/confidence.js';
import type { NearestRows } from '../neighbours/searcher.js';
import { quantileBins } from '../vote/bins.js';
import type { Calibration, VoteSettings } from '../vote/calibration.js';
import { marginOf, type ClassDirection } from '../vote/confidence.js';
import {
  familiarityOf,
  keptShareOf,
  thresholdOf,
  type UnknownRule,
  type UnknownTest,
} from '../vote/unknown.js';
import { labelSharesOf } from '../vote/vote.js';
import type { CalibrationFile } from '../examples/calibration-file.js';
import { fitConfidence, type Answered, type FittedConfidence } from './fit-confidence.js';

/** Labelled images and the examples found near each, nearest first. */
export interface Neighbourhoods {
  /** The true label of each image. */
  readonly truths: readonly string[];
  readonly embeddings: Embeddings;
  readonly found: NearestRows;
  readonly examples: readonly Example[];
}

export interface FitCalibrationOptions {
  /** How the pair votes: a calibration keeps it, so that no label changes. */
  readonly settings: VoteSettings;
  /** Of the index's labels. */
  readonly directions: readonly ClassDirection[];
  /** Those without an image, by its number, where the images are examples of the index. */
  readonly directionsWithout?: ((image: number) => readonly ClassDirection[]) | undefined;
  readonly unknownRule: UnknownRule;
  readonly epsilon: number;
  readonly seed: number;
}

export interface FittedCalibration {
  readonly calibration: Calibration;
  /**
   * `before` with the share of the vote as confidence, `after` with the confidence of each image by a map fitted
   * without it.
   */
  readonly answers: { readonly before: readonly Confident[]; readonly after: readonly Confident[] };
  readonly losses: FittedConfidence['losses'];
}

const driftBins = 10;

/** What the neighbours of each image vote, and what is true of it. */
export function votesOf(
  { truths, embeddings, found, examples }: Neighbourhoods,
  {
    settings,
    directions,
    directionsWithout = () => directions,
  }: Pick<FitCalibrationOptions, 'settings' | 'directions' | 'directionsWithout'>,
): (Answer & Answered)[] {
  const { rule, temperature, k, priorCorrection } = settings;
  const priors = priorCorrection ? labelSharesOf(examples.map(({ label }) => label)) : undefined;
  const { dimension, values } = embeddings;
  return answersOf({ found, examples }, k, { rule, temperature, priors }).map((answer, image) => ({
    ...answer,
    share: answer.confidence,
    margin: marginOf(
      directionsWithout(image),
      answer.label,
      values.subarray(image * dimension, (image + 1) * dimension),
    ),
    correct: answer.label === truths[image],
  }));
}

/** Fits confidence and unknown rejection on images that neither the encoder nor the index has seen. */
export function fitCalibration(hoods: Neighbourhoods, options: FitCalibrationOptions): FittedCalibration {
  const { settings, directions, unknownRule, epsilon, seed } = options;
  const votes = votesOf(hoods, options);
  const order = sampleRows({ size: votes.length, count: votes.length, seed });
  const confidence = fitConfidence(votes, { order, directions });
  const unknown = fitUnknown(
    votes.map((answer) => familiarityOf(unknownRule, answer)),
    { rule: unknownRule, epsilon, order },
  );
  const { found } = hoods;
  const topSimilarity = quantileBins(
    votes.map((_, image) => found.similarities[image * found.k] ?? NaN),
    driftBins,
  );
  return {
    calibration: { vote: settings, confidence: confidence.map, unknown, topSimilarity },
    answers: {
      before: votes.map(({ share, correct }) => ({ confidence: share, correct })),
      after: votes.map(({ correct }, i) => ({ confidence: confidence.heldOut[i] ?? NaN, correct })),
    },
    losses: confidence.losses,
  };
}

/** The mean direction of each label's examples, rounded as calibration.json holds it; labels by code unit. */
export function directionsOf(examples: readonly Example[], embeddings: Embeddings): ClassDirection[] {
  return [...sumsOf(examples, embeddings)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, sum]) => ({ label, direction: directionOf(sum) }));
}

/**
 * The same without one example at a time: its label's direction would point a little at it. A label that has no other example
 * has no direction then.
 * @param rows of the examples that are left out; @returns the directions without the i-th of them
 */
export function directionsWithout(
  examples: readonly Example[],
  embeddings: Embeddings,
  rows: readonly number[],
): (i: number) => ClassDirection[] {
  const sums = sumsOf(examples, embeddings);
  const all = directionsOf(examples, embeddings);
  const { dimension, values } = embeddings;
  return (i) => {
    const row = rows[i] ?? NaN;
    const label = examples[row]?.label;
    const without = sums.get(label ?? '')?.map((value, at) => value - (values[row * dimension + at] ?? NaN));
    if (without === undefined) return all;
    return all.map((one) => (one.label === label ? { label, direction: directionOf(without) } : one));
  };
}

function sumsOf(examples: readonly Example[], { dimension, values }: Embeddings): Map<string, Float64Array> {
  const sums = new Map<string, Float64Array>();
  for (const [row, { label }] of examples.entries()) {
    const sum = sums.get(label) ?? new Float64Array(dimension);
    sums.set(label, sum);
    for (let i = 0; i < dimension; i++) sum[i] = (sum[i] ?? NaN) + (values[row * dimension + i] ?? NaN);
  }
  return sums;
}

function directionOf(sum: Float64Array): number[] {
  // Examples that point every way have no direction.
  const length = Math.max(Math.sqrt(sum.reduce((square, value) => square + value * value, 0)), 1e-9);
  return Array.from(sum, (value) => Math.round((value / length) * 1e5) / 1e5);
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
  readonly figures: { readonly before: ConfidenceFigures; readonly after: ConfidenceFigures };
  /** As fingerprintsOf makes them, of every image. */
  readonly fingerprints: string;
}

/** A fitted calibration as calibration.json holds it. */
export function describeCalibration(
  { calibration, answers }: FittedCalibration,
  origin: CalibrationOrigin,
): CalibrationFile {
  const { vote, confidence, unknown, topSimilarity } = calibration;
  const threshold = thresholdOf(unknown);
  return {
    schemaVersion: 2,
    index: origin.index,
    encoder: origin.encoder,
    createdAt: origin.createdAt.toISOString(),
    dataset: origin.dataset,
    seed: origin.seed,
    images: answers.after.length,
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

/** Lists that may be written to become lists of a file. */
function copyOf(confidence: Calibration['confidence']): CalibrationFile['confidence'] {
  switch (confidence.kind) {
    case 'share':
    case 'temperature':
      return confidence;
    case 'isotonic':
      return { ...confidence, shares: [...confidence.shares], probabilities: [...confidence.probabilities] };
    case 'logistic':
      return {
        ...confidence,
        weights: [...confidence.weights],
        directions: confidence.directions.map(({ label, direction }) => ({
          label,
          direction: [...direction],
        })),
      };
  }
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
