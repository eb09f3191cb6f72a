import { describe, expect, it } from 'vitest';
import { fullReport } from '../../../src/evaluate/full-report.js';
import { calibratedReport } from '../../../src/evaluate/measure-confidence.js';
import { unknownReport } from '../../../src/evaluate/measure-unknown.js';
import { evaluatePage } from '../../../src/evaluate/page/evaluate-page.js';
import { mapSection } from '../../../src/evaluate/page/map.js';
import { mistakesSection } from '../../../src/evaluate/page/pictures.js';
import { createExactSearcher } from '../../../src/neighbours/exact.js';
import type { ReportPage } from '../../../src/report/section.js';
import { onCircle } from '../../neighbours/unit-vectors.js';

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const truths = ['north', 'north', 'east', 'east', 'north'];
const queries = onCircle([1, 5, 85, 88, 60]);
const examples = ['north', 'north', 'east', 'east'].map((label, i) => ({
  id: `${i}`,
  label,
  source: `${i}`,
}));
const images = truths.map((label, i) => ({
  id: `${i}`,
  label,
  source: `${i}`,
  read: () => Promise.reject(new Error('not to be read')),
}));

/** Sure in proportion to the vote, and nothing is unknown that lies within 60 degrees of its second neighbour. */
const calibration = {
  confidence: { kind: 'isotonic', shares: [0.5, 1], probabilities: [0.4, 0.9] },
  unknown: { rule: 'similarity', epsilon: 0.5, familiarities: [0.5, 0.5, 0.5] },
} as const;

async function page(
  withUnknown: boolean,
  warnings: readonly string[] = [],
  fitted?: readonly boolean[],
): Promise<ReportPage> {
  const exact = await createExactSearcher({ embeddings: onCircle([0, 10, 80, 90]), threads: 1 });
  const vote = { rule: 'majority', temperature: 1 } as const;
  const report = await fullReport({
    ...{ queries, truths, examples, exact, vote, hnsw: undefined },
    ...{ k: 2, ks: [1, 2], seed: 0, progress: silent },
  });
  const among = { known: report.answers, unknown: onCircle([200]), examples, served: exact, vote };
  const unknown = withUnknown ? await unknownReport({ ...among, k: 2, seed: 0 }) : undefined;
  return evaluatePage({
    title: 'title',
    subtitle: 'subtitle',
    report,
    unknown,
    calibrated:
      fitted &&
      calibratedReport({
        ...{ calibration, answers: report.answers, embeddings: queries, truths, fitted, seed: 0 },
        strangers: unknown && { answers: unknown.answers, embeddings: onCircle([200]) },
      }),
    mistakes: mistakesSection({ mistakes: [], images: new Map(), examples: new Map() }),
    map: await mapSection({ embedded: { embeddings: queries, images }, name: 'data', most: 4, seed: 1 }),
    warnings,
  });
}

describe('the page of an evaluation', () => {
  it('has every picture, and the headline figures with their intervals', async () => {
    const { facts, sections } = await page(false);
    expect(sections.map(({ kind }) => kind)).toEqual([
      ...['table', 'confusion', 'reliability', 'bars', 'table', 'pictures', 'map'],
    ]);
    // 60 degrees lies nearer to 80 than to 10: one of five is wrong.
    expect(facts[0]).toMatchObject({
      name: 'accuracy, k = 2',
      value: expect.stringMatching(/^80\.00 % \(/) as string,
    });
  });

  it('has the curve and the table of unknown images where there are some, and its warnings first', async () => {
    const { facts, sections } = await page(true, ['mind the gap']);
    expect(sections[0]).toMatchObject({ title: 'Warnings', rows: [['mind the gap']] });
    expect(sections.find(({ kind }) => kind === 'curve')).toMatchObject({
      diagonal: 'chance',
      series: [{ name: 'k-th similarity: 1.000' }, {}],
    });
    expect(facts.some(({ name }) => name.startsWith('AUROC of unknowns'))).toBe(true);
  });

  it('has the calibrated confidence beside the share of the vote, on images it was not fitted on', async () => {
    const { facts, sections } = await page(true, [], [true, false, false, false, false]);
    const table = sections.find(({ title }) => title === 'Calibrated confidence');
    expect(table?.note).toContain('On the 4 of 5 images that it was not fitted on.');
    const rows = table?.kind === 'table' ? table.rows : [];
    // All four votes are unanimous, three of them right: shares of 1, confidences of 0.9.
    expect(rows.find(([name]) => name === 'ECE (15 bins)')).toEqual([
      'ECE (15 bins)',
      expect.stringMatching(/^0\.2500 \(/),
      expect.stringMatching(/^0\.1500 \(/),
    ]);
    // One of one: Wilson's interval is from 1 / (1 + 1.96^2).
    expect(rows.at(-1)).toEqual(['of unknown images called unknown', '', '100.00 % (20.65 to 100.00)']);
    const reliability = sections.find(({ kind }) => kind === 'reliability');
    expect(reliability).toMatchObject({
      // Four that are right nine times in ten: all right are off by 0.1, two of four, a chance of 1 in 20, by 0.4.
      series: [
        { name: 'share of the vote: ECE 0.2500, of a perfect one 0.0000 to 0.0000' },
        { name: 'calibrated confidence: ECE 0.1500, of a perfect one 0.1000 to 0.4000' },
      ],
    });
    expect(facts).toContainEqual({ name: 'called unknown', value: '0.00 % (0.00 to 48.99)' });
  });

  it('maps a seeded sample, each point with the label of its image', async () => {
    const { sections } = await page(false);
    const map = sections.find((section) => section.kind === 'map');
    const [{ points } = { points: [] }] = map?.maps ?? [];
    expect(points).toHaveLength(4);
    for (const { x, y } of points) expect([x, y].every(Number.isFinite)).toBe(true);
    expect(map?.note).toContain('4 of 5 images');
  });
});
