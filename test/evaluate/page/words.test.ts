import { describe, expect, it } from 'vitest';
import { decimal, percent, withInterval } from '../../../src/evaluate/page/words.js';

describe('figures as they are written', () => {
  it('have their unit once, and a dash where there is none', () => {
    expect(percent(0.92235)).toBe('92.23 %');
    expect(percent(NaN)).toBe('–');
    expect(percent(undefined)).toBe('–');
    expect(decimal(0.70516)).toBe('0.7052');
    expect(withInterval(0.9, { low: 0.85, high: 0.95 })).toBe('90.00 % (85.00 to 95.00)');
    expect(withInterval(0.9, { low: 0.85, high: 0.95 }, decimal)).toBe('0.9000 (0.8500 to 0.9500)');
    expect(withInterval(NaN, { low: NaN, high: NaN })).toBe('–');
  });
});
