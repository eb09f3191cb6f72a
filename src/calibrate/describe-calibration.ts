import { keptShareOf, thresholdOf } from '../vote/unknown.js';
import type { ConfidenceFigures } from '../evaluate/metrics/confidence.js';
import type { CalibrationFile } from './calibration-schema.js';
import type { FittedCalibration } from './fit-calibration.js';

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
