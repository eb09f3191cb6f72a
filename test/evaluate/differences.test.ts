import { expect, test } from 'vitest';
import type { Progress } from '../../src/domain/progress.js';
import { sameCounts } from '../../src/evaluate/compare-sides.js';
import { measureDifferences, type ComparedSide, type CompareReport } from '../../src/evaluate/differences.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const silent: Progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };

/** Two examples a label: cats at 0 and 10 degrees, dogs at 90 and 100. */
const examples = ['cat', 'cat', 'dog', 'dog'].map((label, i) => ({ id: `${i}`, label, source: `${i}` }));

async function side(queries: readonly number[], labels = examples): Promise<ComparedSide> {
  const exact = await createExactSearcher({ embeddings: onCircle([0, 10, 90, 100]), threads: 1 });
  return { queries: onCircle(queries), examples: labels, exact };
}

const truths = ['cat', 'cat', 'dog', 'dog'];

function compared(a: ComparedSide, b: ComparedSide): Promise<CompareReport> {
  const vote = { rule: 'majority', temperature: 0.07 } as const;
  return measureDifferences({ a, b, truths, vote, k: 1, seed: 0, progress: silent });
}

test('figures, differences and McNemar follow from where the images lie', async () => {
  // A sees every image at its label; B sees the second cat among the dogs, nearest to 90 and then to 100 degrees.
  const report = await compared(await side([1, 2, 91, 92]), await side([1, 80, 91, 92]));
  expect(report.figures.accuracy).toMatchObject({ a: 1, b: 0.75, difference: -0.25 });
  expect(report.figures.precisionAt1).toMatchObject({ a: 1, b: 0.75, difference: -0.25 });
  // R = 2: the two nearest of that cat are dogs, so its average precision is 0 and the others' is 1.
  expect(report.figures.mapAtR).toMatchObject({ a: 1, b: 0.75 });
  // B: cat F1 = 2 / (2 + 1) with one cat given and two true; dog F1 = 4 / (3 + 2).
  expect(report.figures.macroF1.b).toBeCloseTo((2 / 3 + 4 / 5) / 2, 12);
  // One image differs: it falls either way like a coin, so p is 1.
  expect(report.mcnemar).toMatchObject({ onlyFirstRight: 1, onlySecondRight: 0, exactP: 1 });
  expect(report.classes).toMatchObject([
    { label: 'cat', count: 2, recall: { a: 1, b: 0.5, difference: -0.5 } },
    { label: 'dog', count: 2, recall: { a: 1, b: 1, difference: 0, interval: { low: 0, high: 0 } } },
  ]);
});

test('the interval of a difference lies where the difference can be drawn', async () => {
  const { figures } = await compared(await side([1, 2, 91, 92]), await side([80, 81, 1, 2]));
  // Every image is right in A and wrong in B: whatever is drawn, the difference is -1.
  expect(figures.accuracy).toEqual({ a: 1, b: 0, difference: -1, interval: { low: -1, high: -1 } });
  expect(figures.macroF1).toEqual({ a: 1, b: 0, difference: -1, interval: { low: -1, high: -1 } });
});

test('turning both round changes the sign and nothing else', async () => {
  const [a, b] = [await side([1, 2, 91, 92]), await side([1, 80, 91, 3])];
  const [there, back] = [await compared(a, b), await compared(b, a)];
  for (const name of ['accuracy', 'macroF1', 'mapAtR'] as const) {
    expect(back.figures[name].difference).toBeCloseTo(-there.figures[name].difference, 12);
    expect(back.figures[name].interval.low).toBeCloseTo(-there.figures[name].interval.high, 12);
  }
  expect(back.mcnemar.exactP).toBe(there.mcnemar.exactP);
});

test('k is clamped to the smaller of both, and images that an example repeats are counted', async () => {
  const [a, b] = [await side([0, 2, 91, 92]), await side([1, 2, 91, 92])];
  const vote = { rule: 'majority', temperature: 0.07 } as const;
  const report = await measureDifferences({ a, b, truths, vote, k: 50, seed: 0, progress: silent });
  expect(report.k).toBe(4);
  // 0 degrees is that of the first example; 1, 2 and 91 degrees are further than the tolerance from any.
  expect(report.duplicates).toEqual({ a: 1, b: 0 });
});

test('as many examples of each label are told from more of one', () => {
  const [cat, , dog] = examples;
  if (cat === undefined || dog === undefined) throw new TypeError('Expected both');
  expect(sameCounts([cat, dog], [dog, cat])).toBe(true);
  expect(sameCounts([cat, dog], [cat, dog, dog])).toBe(false);
  expect(sameCounts([cat], [dog])).toBe(false);
});

test('other labels are refused by name', async () => {
  const mice = examples.map((one, i) => (i < 2 ? { ...one, label: 'mouse' } : one));
  await expect(compared(await side([1, 2, 91, 92]), await side([1, 2, 91, 92], mice))).rejects.toMatchObject({
    code: 'usage',
    message: 'Expected A and B to have the same labels but only A has cat, and only B has mouse',
  });
});
