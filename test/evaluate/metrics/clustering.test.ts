import { describe, expect, it } from 'vitest';
import { clusterAgreement } from '../../../src/evaluate/metrics/clustering.js';

const labels = Array.from('dccdcddaabbddabdadabdbbb');

/*
 * Reference values by scikit-learn 1.2.1: normalized_mutual_info_score and adjusted_mutual_info_score. The labels are
 * those of confusion.test.ts, its generator going on to
 *   clusters = np.where(rng.random(24) < .5, truth, rng.integers(0, 6, 24))
 *   independent = rng.integers(0, 3, 24)
 */
describe('agreement of clusters with labels', () => {
  it('is that of scikit-learn', () => {
    const clusters = [2, 5, 2, 3, 2, 3, 3, 0, 2, 1, 3, 5, 5, 3, 1, 3, 0, 3, 0, 1, 1, 1, 0, 1];
    const { nmi, ami } = clusterAgreement(labels, clusters);
    expect(nmi).toBeCloseTo(0.432694130241597, 12);
    expect(ami).toBeCloseTo(0.2709498733177295, 12);
  });

  it('is that of scikit-learn where clusters say less than chance', () => {
    const independent = [1, 2, 2, 1, 1, 1, 0, 1, 2, 1, 0, 0, 2, 0, 2, 2, 1, 1, 2, 1, 1, 0, 1, 2];
    const { nmi, ami } = clusterAgreement(labels, independent);
    expect(nmi).toBeCloseTo(0.05361955207221331, 12);
    expect(ami).toBeCloseTo(-0.09140106344142324, 12);
  });

  it('is that of scikit-learn for thousands of images', () => {
    // t = i * 7919 % 30; c = (t + (i % 4 == 0) * (i % 11)) % 25, i = np.arange(3000)
    const truth = Array.from({ length: 3_000 }, (_, i) => (i * 7919) % 30);
    const clusters = truth.map((t, i) => (t + (i % 4 === 0 ? i % 11 : 0)) % 25);
    const { nmi, ami } = clusterAgreement(truth.map(String), clusters);
    expect(nmi).toBeCloseTo(0.7010967531319486, 10);
    expect(ami).toBeCloseTo(0.6892707808939597, 10);
  });

  it('is 1 for the same groups under other names, and for one group that cannot be told apart', () => {
    expect(clusterAgreement(['a', 'a', 'b', 'c'], [7, 7, 3, 5])).toEqual({
      nmi: expect.closeTo(1, 12) as number,
      ami: expect.closeTo(1, 12) as number,
    });
    expect(clusterAgreement(['a', 'a'], [4, 4])).toEqual({ nmi: 1, ami: 1 });
    expect(clusterAgreement([], [])).toEqual({ nmi: 1, ami: 1 });
  });

  it('is 0 for a single cluster over several labels', () => {
    expect(clusterAgreement(['a', 'a', 'b', 'b'], [0, 0, 0, 0])).toEqual({
      nmi: expect.closeTo(0, 12) as number,
      ami: expect.closeTo(0, 12) as number,
    });
  });

  it('refuses another number of clusters than labels', () => {
    expect(() => clusterAgreement(['a'], [1, 2])).toThrow('each of 1 labels but received 2');
  });
});
