import { describe, expect, it } from 'vitest';
import { barsSection, confusionSection } from '../../../src/evaluate/page/tables.js';

/** 60 labels, ten images each, all right but where told. */
const labels = Array.from({ length: 60 }, (_, i) => `label ${String(i).padStart(2, '0')}`);
const counts = (moved: readonly (readonly [number, number])[]): number[][] => {
  const matrix = labels.map((_, truth) => labels.map((__, given): number => (truth === given ? 10 : 0)));
  for (const [truth, given] of moved) {
    const row = matrix[truth] ?? [];
    row[truth] = (row[truth] ?? 0) - 1;
    row[given] = (row[given] ?? 0) + 1;
  }
  return matrix;
};

describe('labels on the page', () => {
  it('are all shown where they fit', () => {
    const few = { labels: ['a', 'b'], counts: [[3, 1], [0, 4]] }; // prettier-ignore
    expect(confusionSection(few)).toMatchObject(few);
  });

  it('are those with most mistakes, of their own or by others, where they do not fit', () => {
    const section = confusionSection({ labels, counts: counts([[59, 57], [58, 59]]) }); // prettier-ignore
    expect(section.labels).toHaveLength(50);
    expect(section.labels.slice(-3)).toEqual(['label 57', 'label 58', 'label 59']);
    expect(section.labels).not.toContain('label 56');
    expect(section.counts.at(-1)?.slice(-3)).toEqual([1, 0, 9]);
    expect(section.note).toContain('50 of 60');
  });

  it('are those with the least F1 among the bars', () => {
    const classes = labels.map((label, i) => ({ label, count: 1, precision: 1, recall: 1, f1: i / 60 }));
    const { groups, note } = barsSection(classes);
    expect(groups).toHaveLength(50);
    expect(groups[0]).toEqual({ label: 'label 00', values: [1, 1, 0] });
    expect(note).toContain('50 of 60');
    expect(barsSection(classes.slice(0, 3)).note).toBeUndefined();
  });
});
