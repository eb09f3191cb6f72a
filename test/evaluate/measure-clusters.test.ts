import { describe, expect, it } from 'vitest';
import { measureClusters } from '../../src/evaluate/measure-embeddings.js';
import { onCircle, seededRandom } from '../neighbours/unit-vectors.js';

describe('the agreement of clusters with labels', () => {
  it('has intervals that hold it, though images drawn twice agree with themselves', () => {
    const random = seededRandom(2);
    const labels = Array.from({ length: 60 }, (_, i) => `label ${i % 6}`);
    const embeddings = onCircle(labels.map(() => 360 * random()));
    const { nmi, ami, intervals } = measureClusters({ embeddings, labels, seed: 1 });
    // Labels at random: what drawing lifts them by would leave both figures below their draws.
    expect(intervals.nmi.low).toBeLessThanOrEqual(nmi);
    expect(intervals.nmi.high).toBeGreaterThanOrEqual(nmi);
    expect(intervals.ami.low).toBeLessThanOrEqual(0);
    expect(intervals.ami.high).toBeGreaterThanOrEqual(ami);
  });
});
