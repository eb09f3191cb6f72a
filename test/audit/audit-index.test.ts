import { describe, expect, it } from 'vitest';
import { auditIndex, type AuditIndexOptions } from '../../src/audit/audit-index.js';
import { countFindings, findingsOf } from '../../src/audit/findings.js';
import { queriesOf } from '../../src/neighbours/recall.js';
import { vote } from '../../src/vote/vote.js';
import { nearestByLoop, onCircle, seededRandom } from '../neighbours/unit-vectors.js';
import { plant, type Planted } from './planted.js';

const progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const settings = {
  ...{ name: 'planted', k: 15, seed: 0, threads: 1, progress },
  vote: { rule: 'softmax', temperature: 0.07 },
} as const;

const auditOf = (planted: Planted, more: Partial<AuditIndexOptions> = {}) =>
  auditIndex({ ...settings, ...planted, test: { name: 'test', ...planted.test }, ...more });

describe.each([1, 2, 3])('the audit of planted faults, seed %i', (seed) => {
  const planted = plant(seed);

  it('finds the wrong labels: precision and recall of at least 0.9', async () => {
    const { mislabelled, suspicions } = await auditOf(planted);
    const conflicting = new Set([...planted.conflicts].map((pair) => Number(pair.split('-')[1])));
    const wrong = (row: number): boolean => planted.flipped.has(row) || conflicting.has(row);
    const right = mislabelled.filter(({ row }) => wrong(row)).length;
    expect(right / mislabelled.length).toBeGreaterThanOrEqual(0.9);
    expect(right / (planted.flipped.size + conflicting.size)).toBeGreaterThanOrEqual(0.9);
    expect(suspicions.length).toBe(planted.examples.length);
  });

  it('finds every copy, within and across labels, and nothing else', async () => {
    const { duplicates } = await auditOf(planted);
    const of = (kind: string): Set<string> =>
      new Set(duplicates.filter(({ finding }) => finding.kind === kind).map(({ rows }) => rows.join('-')));
    expect(of('duplicates')).toEqual(planted.copies);
    expect(of('conflicting-duplicates')).toEqual(planted.conflicts);
  });

  it('finds every test image that is in the index, and no other', async () => {
    const { leaks = [] } = await auditOf(planted);
    expect(leaks.map(({ rows }) => rows[0]).sort()).toEqual([...planted.leaked].sort());
    expect(leaks.map(({ finding }) => finding.test.id).sort()).toEqual(
      planted.leaked.map((row) => `t${row}`).sort(),
    );
  });

  it('drops only examples without which every test image is voted on as before, by a double loop', async () => {
    const { condensed } = await auditOf(planted);
    const { examples, embeddings, test } = planted;
    const votesOf = (rows: Int32Array): (string | undefined)[] =>
      nearestByLoop(queriesOf(embeddings, rows), test.embeddings, settings.k).map((found) => {
        const ballots = found.rows.map((place, i) => ({
          label: examples[rows[place] ?? -1]?.label ?? '',
          similarity: found.similarities[i] ?? NaN,
        }));
        return vote(ballots, settings.vote)[0]?.label;
      });
    const all = Int32Array.from(examples, (_, row) => row);
    expect(votesOf(condensed.kept)).toEqual(votesOf(all));
    expect(condensed.dropped.length).toBeGreaterThan(examples.length / 2);
    expect(condensed.votes).toBe(test.images.length);
  });
});

describe('pixels, where they are at hand', () => {
  const planted = plant(1);
  /** Squares of 8 x 8 in the greys of a seed: of the row, or of the row that it is a copy of. */
  const patterns = (likeTheOriginal: boolean) => (rows: readonly number[]) =>
    Promise.resolve(
      new Map(
        rows.map((row) => {
          const copied = [...planted.copies].find((pair) => pair.endsWith(`-${row}`))?.split('-')[0];
          const seed = likeTheOriginal && copied !== undefined ? Number(copied) : row;
          const random = seededRandom(7919 * (seed + 1));
          const greys = Array.from({ length: 64 }, () => 256 * random());
          const grey = (at: number): number =>
            greys[8 * Math.floor(at / 512) + Math.floor((at % 64) / 8)] ?? NaN;
          return [row, Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => grey(Math.floor(i / 3)))];
        }),
      ),
    );

  it('refute copies that look nothing alike and confirm those that do', async () => {
    const refuted = await auditOf(planted, { readPixels: patterns(false) });
    expect(refuted.duplicates.map(({ rows }) => rows.join('-'))).toEqual([]);
    const confirmed = await auditOf(planted, { readPixels: patterns(true) });
    expect(new Set(confirmed.duplicates.map(({ rows }) => rows.join('-')))).toEqual(planted.copies);
    expect(confirmed.duplicates.every(({ finding }) => finding.confirmed)).toBe(true);
    expect(confirmed.duplicates[0]?.finding.suggestion).toBe('keep one of 2');
  });

  it('that are missing leave a guess, which asks to look at the pictures before any is deleted', async () => {
    const { duplicates, leaks = [] } = await auditOf(planted);
    expect(duplicates.length).toBeGreaterThan(0);
    expect(leaks.length).toBeGreaterThan(0);
    for (const { finding } of [...duplicates, ...leaks]) {
      expect(finding.confirmed).toBe(false);
      expect(finding.suggestion).toMatch(/^may be the same picture .* look at them/);
    }
  });

  it('that can be read once and not again leave a guess too', async () => {
    const first = Number([...planted.copies][0]?.split('-')[0]);
    const read = patterns(true);
    const seen = new Set<number>();
    const { duplicates } = await auditOf(planted, {
      readPixels: async (rows) => {
        const gone = seen.has(first);
        for (const row of rows) seen.add(row);
        return read(rows.filter((row) => row !== first || !gone));
      },
    });
    const found = duplicates.find(({ rows }) => rows.includes(first));
    expect(found?.finding.confirmed).toBe(false);
  });

  it('of one picture that cannot be read leave only its own pairs a guess', async () => {
    const [first = '', second = ''] = planted.copies;
    const unread = Number(first.split('-')[0]);
    const read = patterns(true);
    const { duplicates } = await auditOf(planted, {
      readPixels: (rows) => read(rows.filter((row) => row !== unread)),
    });
    const confirmed = new Map(duplicates.map(({ rows, finding }) => [rows.join('-'), finding.confirmed]));
    expect(confirmed.get(first)).toBe(false);
    expect(confirmed.get(second)).toBe(true);
  });
});

describe('pictures of which the nearest are drawn', () => {
  type Draw = (x: number, y: number) => number;
  /** Audits pictures whose embeddings lie along an arc in their order, drawn at any side. */
  async function groupsOf(draws: readonly Draw[], labels: readonly string[]) {
    const { duplicates } = await auditIndex({
      ...{ ...settings, k: 1 },
      examples: labels.map((label, row) => ({ id: String(row), label, source: `${label}/${row}.png` })),
      embeddings: onCircle(draws.map((_, i) => i)),
      readPixels: (rows, side) => {
        const pictureOf = (row: number): Uint8Array =>
          Uint8Array.from({ length: 3 * side * side }, (_, i) => {
            const at = Math.floor(i / 3);
            return draws[row]?.((64 * (at % side)) / side, (64 * Math.floor(at / side)) / side) ?? 0;
          });
        return Promise.resolve(new Map(rows.map((row) => [row, pictureOf(row)])));
      },
    });
    return duplicates;
  }
  const alternating = (count: number): string[] => Array.from({ length: count }, (_, i) => 'ab'[i % 2] ?? '');

  it('are no group where even greys go from black to white in steps of 4', async () => {
    const greys = Array.from({ length: 64 }, (_, i) => () => 4 * i);
    expect(await groupsOf(greys, alternating(64))).toEqual([]);
  });

  it('are groups of those that are like the one to keep, where each is like the next', async () => {
    const greys = Array.from({ length: 12 }, (_, i) => () => 100 + i);
    const groups = await groupsOf(greys, alternating(12));
    expect(groups.map(({ rows }) => rows).sort(([a = 0], [b = 0]) => a - b)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8],
      [9, 10, 11],
    ]);
  });

  it('are one group where all are alike, though none lists all others', async () => {
    const groups = await groupsOf(
      Array.from({ length: 14 }, () => () => 90),
      alternating(14),
    );
    expect(groups.map(({ rows }) => rows.length)).toEqual([14]);
    expect(groups[0]?.finding.confirmed).toBe(true);
  });

  const random = seededRandom(11);
  const greys = Array.from({ length: 64 }, () => 40 + 170 * random());
  const pattern: Draw = (x, y) => greys[8 * Math.floor(y / 8) + Math.floor(x / 8)] ?? NaN;
  const scratched: Draw = (x, y) => (Math.abs(x - y - 8) < 1.5 && y > 18 && y < 30 ? 255 : pattern(x, y));
  const mirrored: Draw = (x, y) => pattern(63.999 - x, y);

  it('ask to be looked at where they differ in one place and in their labels', async () => {
    const [group] = await groupsOf([pattern, scratched], ['ok', 'scratch']);
    expect(group?.finding).toMatchObject({
      ...{ kind: 'conflicting-duplicates', confirmed: false },
      suggestion:
        'may be the same picture, though they differ in one place: look at them; if they are, decide between ok and scratch, then keep one',
    });
    const [same] = await groupsOf([pattern, pattern], ['ok', 'scratch']);
    expect(same?.finding).toMatchObject({ confirmed: true, mirrored: false });
  });

  it('are said to be mirror images where they are', async () => {
    const [group] = await groupsOf([pattern, mirrored], ['left', 'right']);
    expect(group?.finding).toMatchObject({
      ...{ kind: 'conflicting-duplicates', confirmed: true, mirrored: true },
      suggestion:
        'are mirror images; if left and right matter to the labels, both are right, else decide between left and right, then keep one',
    });
  });
});

describe('the findings', () => {
  it('are one of each thing found, with the ids, sources and labels of the index', async () => {
    const planted = plant(1);
    const audit = await auditOf(planted, { test: undefined });
    const findings = findingsOf(audit, planted.examples);
    expect(countFindings(findings)).toMatchObject({
      ...{ mislabelled: audit.mislabelled.length, duplicates: 10, 'conflicting-duplicates': 5, leak: 0 },
      droppable: audit.condensed.dropped.length,
    });
    for (const { ids, sources, labels, kind } of findings) {
      if (kind === 'overlap') continue;
      const named = ids.map((id) => planted.examples[Number(id)]);
      expect(labels).toEqual(named.map((example) => example?.label));
      expect(sources).toEqual(named.map((example) => example?.source));
    }
    expect(audit.leaks).toBeUndefined();
    expect(audit.condensed.votes).toBe(planted.examples.length);
  });
});

it('reports as many labels as it is asked for, the most suspicious first', async () => {
  const planted = plant(1);
  const [usual, more] = [await auditOf(planted), await auditOf(planted, { suspects: 100 })];
  expect(more.mislabelled.length).toBe(100);
  expect(more.mislabelled.slice(0, usual.mislabelled.length)).toEqual(usual.mislabelled);
});

describe('an audit refuses', () => {
  const indexOf = (labels: readonly string[]) => ({
    examples: labels.map((label, i) => ({ id: `${i}`, label, source: '' })),
    embeddings: onCircle(labels.map((_, i) => 10 * i)),
  });

  it.each([
    [['a'], 1, 'index_invalid', 'Expected at least two examples to compare but index planted has 1'],
    [['a', 'a', 'a'], 1, 'index_invalid', 'all of index planted are labelled a'],
    [['a', 'b', 'b'], 3, 'k_too_large', 'Expected k to be at most 2, the others that each of 3 examples has'],
  ])('labels %j at k = %i', async (labels, k, code, message) => {
    await expect(auditIndex({ ...settings, ...indexOf(labels), k })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  it('no index of two examples of two labels, though there is nothing to say', async () => {
    const audit = await auditIndex({ ...settings, ...indexOf(['a', 'b']), k: 1 });
    expect(audit).toMatchObject({ mislabelled: [], duplicates: [], leaks: undefined });
  });
});
