import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../src/domain/duration.js';

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['90m', 5_400_000],
    ['2h', 7_200_000],
    ['45s', 45_000],
    ['1d2h', 93_600_000],
    ['2d', 172_800_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['1m500ms', 60_500],
    [' 2H ', 7_200_000],
  ])('reads %s as %d milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it('takes a number without a unit for seconds', () => {
    expect(parseDuration('10')).toBe(10_000);
    expect(parseDuration('0.25')).toBe(250);
  });

  it('leaves it to others whether nothing may be waited for', () => {
    expect(parseDuration('0')).toBe(0);
    expect(parseDuration('0ms')).toBe(0);
  });

  it.each(['', ' ', 's', '-1s', '1 s', '30m1h', '1.2.3s', '1e3s', '2h later', 'Infinity', '1m2'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  it('refuses what setTimeout would turn into a millisecond', () => {
    expect(parseDuration('2147483647ms')).toBe(2 ** 31 - 1);
    expect(parseDuration('2147483648ms')).toBeUndefined();
    expect(parseDuration('25d')).toBeUndefined();
    expect(parseDuration('9'.repeat(400))).toBeUndefined();
  });
});
