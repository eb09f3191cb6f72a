import type { CalibrationFile } from '../../src/examples/calibration-file.js';

const figures = { accuracy: 0.9, ece: 0.01, brier: 0.05, nll: 0.2, auroc: 0.9 };

/** A valid calibration.json, with what a test wants otherwise. */
export function aCalibration(changes: Partial<CalibrationFile> = {}): CalibrationFile {
  return {
    schemaVersion: 2,
    index: { name: 'colours', version: 'v1' },
    encoder: { name: 'mean-colour', sha256: 'a'.repeat(64), digest: 'd'.repeat(64) },
    createdAt: '2026-01-02T03:04:05.678Z',
    dataset: 'folder',
    seed: 0,
    images: 9,
    overlap: 0,
    vote: { rule: 'majority', temperature: 0.07, k: 10, priorCorrection: false },
    confidence: { kind: 'isotonic', shares: [0.5, 1], probabilities: [0.25, 0.75] },
    unknown: {
      rule: 'similarity',
      epsilon: 0.25,
      familiarities: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
      threshold: 0.2,
      truePositiveRate: 8 / 9,
    },
    topSimilarity: { edges: [0.5], counts: [4, 5] },
    figures: { before: figures, after: figures },
    // One image, whose key begins with six bytes of 1.
    fingerprints: 'AQEBAQEB',
    ...changes,
  };
}
