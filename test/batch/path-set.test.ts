import { describe, expect, it } from 'vitest';
import { createPathSet } from '../../src/batch/path-set.js';

describe('a set of paths', () => {
  it('knows each of many paths again, and none that was not added', () => {
    const paths = createPathSet();
    const known = Array.from({ length: 50_000 }, (_, i) => `photos/${i}.jpg`);
    const others = known.map((path) => `more/${path}`);
    expect(known.filter((path) => paths.add(path))).toEqual(known);
    expect(paths.size).toBe(known.length);
    expect(known.filter((path) => paths.has(path) && !paths.add(path))).toEqual(known);
    expect(others.filter((path) => paths.has(path))).toEqual([]);
    expect(paths.size).toBe(known.length);
  });
});
