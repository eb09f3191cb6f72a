import { describe, expect, it } from 'vitest';
import { sampleRows } from '../../src/domain/seeded-random.js';

describe('sampling rows', () => {
  it('chooses different rows, all in range, the same ones for the same seed', () => {
    const rows = sampleRows({ size: 1000, count: 100, seed: 7 });
    expect(new Set(rows).size).toBe(100);
    expect(rows.every((row) => row >= 0 && row < 1000)).toBe(true);
    expect(sampleRows({ size: 1000, count: 100, seed: 7 })).toEqual(rows);
    expect(sampleRows({ size: 1000, count: 100, seed: 8 })).not.toEqual(rows);
  });

  it('takes every row once where there are fewer than asked for', () => {
    expect([...sampleRows({ size: 5, count: 9, seed: 1 })].sort()).toEqual([0, 1, 2, 3, 4]);
  });

  it('is even: each row is chosen about as often as any other', () => {
    const chosen = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 4000; seed++) {
      for (const row of sampleRows({ size: 10, count: 3, seed })) chosen[row] = (chosen[row] ?? 0) + 1;
    }
    // 1,200 each, standard deviation 29.
    for (const times of chosen) expect(Math.abs(times - 1200)).toBeLessThan(150);
  });
});
