import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import { classScores, macroScores, topAccuracy } from '../../../src/evaluate/metrics/accuracy.js';
import { clusterAgreement } from '../../../src/evaluate/metrics/clustering.js';
import { brierScore, figuresOf, negativeLogLikelihood } from '../../../src/evaluate/metrics/confidence.js';
import { auprc, auroc, falsePositivesAt } from '../../../src/evaluate/metrics/detection.js';
import { wilsonInterval } from '../../../src/evaluate/metrics/intervals.js';
import { kmeans } from '../../../src/evaluate/metrics/kmeans.js';
import { mcnemar } from '../../../src/evaluate/metrics/mcnemar.js';
import { scoreRetrieval } from '../../../src/evaluate/metrics/retrieval.js';

interface Reference {
  readonly clusters: readonly { labels: number[]; clusters: number[]; nmi: number; ami: number }[];
  readonly detection: readonly {
    known: number[];
    unknown: number[];
    auroc: number;
    averagePrecision: number;
    falsePositives: number;
    threshold: number;
  }[];
  readonly classScores: readonly {
    truth: number[];
    given: number[];
    labels: string[];
    precision: number[];
    recall: number[];
    f1: number[];
    count: number[];
    macro: [number, number, number];
  }[];
  readonly calibration: readonly {
    confidence: number[];
    correct: boolean[];
    ece: number;
    brier: number;
    nll: number;
  }[];
  readonly scored: { scores: number[][]; truth: number[]; brier: number; nll: number };
  readonly wilson: readonly (readonly [number, number, number, number])[];
  readonly mcnemar: readonly (readonly [number, number, number])[];
  readonly retrieval: readonly {
    ranked: number[];
    sameLabel: number;
    precisionAt1: number;
    rPrecision: number | null;
    mapAtR: number | null;
  }[];
  readonly kmeans: { worstOf30: number; meanOf30: number; best: number };
}

/** Made by reference/make_reference.py. */
const reference = JSON.parse(
  readFileSync(new URL('./reference/reference.json', import.meta.url), 'utf8'),
) as Reference;

/** To 12 digits, whatever the size. */
const near = (value: number): number => expect.closeTo(value, 11) as number;

describe('the metrics are those of scikit-learn, scipy, statsmodels or numpy', () => {
  it('for the agreement of clusters with labels: one label, one cluster, one of each, as many as images', () => {
    for (const { labels, clusters, nmi, ami } of reference.clusters) {
      expect(clusterAgreement(labels.map(String), clusters)).toEqual({ nmi: near(nmi), ami: near(ami) });
    }
  });

  it('for telling known from unknown images, with ties, with nothing but ties, and with a single one of each', () => {
    for (const { known, unknown, ...expected } of reference.detection) {
      const scores = { known, unknown };
      const { falsePositives, threshold } = falsePositivesAt(scores);
      expect({ auroc: auroc(scores), averagePrecision: auprc(scores), falsePositives, threshold }).toEqual(
        Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, near(value)])),
      );
    }
  });

  it('for precision, recall and F1, of labels too that are never a truth or never given', () => {
    for (const { truth, given, labels, macro, ...each } of reference.classScores) {
      const scores = classScores(
        truth.map((one, i) => ({ truth: String(one), predicted: String(given[i]) })),
      );
      expect(scores).toEqual(
        labels.map((label, i) => ({
          label,
          count: each.count[i],
          precision: near(each.precision[i] ?? NaN),
          recall: near(each.recall[i] ?? NaN),
          f1: near(each.f1[i] ?? NaN),
        })),
      );
      const [precision, recall, f1] = macro.map(near);
      expect(macroScores(scores)).toEqual({ precision, recall, f1 });
    }
  });

  it('for the calibration error, Brier score and likelihood of confidences, on the edges of bins too', () => {
    for (const { confidence, correct, ...expected } of reference.calibration) {
      const { ece, brier, nll } = figuresOf(
        confidence.map((one, i) => ({ confidence: one, correct: correct[i] === true })),
      );
      expect({ ece, brier, nll }).toEqual(
        Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, near(value)])),
      );
    }
  });

  it('for the Brier score and likelihood of the scores of all labels', () => {
    const { scores, truth, brier, nll } = reference.scored;
    const images = scores.map((row, i) => ({
      truth: String(truth[i]),
      // A label without votes is in no list.
      scores: row.flatMap((score, label) => (score === 0 ? [] : [{ label: String(label), score }])),
    }));
    expect(brierScore(images)).toBeCloseTo(brier, 11);
    expect(negativeLogLikelihood(images)).toBeCloseTo(nll, 9);
  });

  it.each(reference.wilson)("for Wilson's interval of %d of %d", (found, of, low, high) => {
    expect(wilsonInterval(found, of)).toEqual({ low: near(low), high: near(high) });
  });

  it.each(reference.mcnemar)("for McNemar's test of %d against %d", (onlyFirstRight, onlySecondRight, p) => {
    expect(mcnemar({ onlyFirstRight, onlySecondRight }).exactP / p).toBeCloseTo(1, 9);
  });

  it('for retrieval, where no reference has the label too', () => {
    for (const { ranked, sameLabel, precisionAt1, rPrecision, mapAtR } of reference.retrieval) {
      const scored = scoreRetrieval({ label: '0', neighbours: ranked.map(String), sameLabel });
      if (rPrecision === null || mapAtR === null) expect(scored).toBeUndefined();
      else {
        expect(scored).toMatchObject({
          precisionAt1,
          rPrecision: near(rPrecision),
          averagePrecisionAtR: near(mapAtR),
        });
      }
    }
  });

  it('for the tightness of ten k-means starts, from run to run', () => {
    const points = Array.from({ length: 100 }, (_, i) => [(7 * i * i) % 101, (13 * i * i + 5 * i) % 97]);
    const values = Float32Array.from(points.flat());
    const runs = Array.from({ length: 30 }, (_, seed) => {
      const options = { clusters: 10, random: seededRandom(seed) };
      return kmeans({ count: 100, dimension: 2, values }, options).inertia;
    });
    const { best, worstOf30, meanOf30 } = reference.kmeans;
    expect(Math.min(...runs)).toBeGreaterThan(best - 1e-6);
    expect(Math.max(...runs)).toBeLessThan(best + 1.5 * (worstOf30 - best));
    // The mean of 30 scatters.
    expect(runs.reduce((sum, one) => sum + one, 0) / 30).toBeLessThan(meanOf30 * 1.01);
  });

  it('counts any label that got votes among more than there are', () => {
    const images = [{ truth: 'a', labels: ['b', 'a'] }, { truth: 'c', labels: ['b', 'a'] }]; // prettier-ignore
    expect(topAccuracy(images, 5)).toBe(0.5);
    expect(topAccuracy([], 5)).toBeNaN();
  });
});
