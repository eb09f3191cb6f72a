import { describe, expect, it } from 'vitest';
import { closestName } from '../../src/domain/closest-name.js';

describe('the name that was meant', () => {
  it.each([
    ['photo', ['models', 'photos'], 'photos'],
    ['NEARVOTE_PROT', ['NEARVOTE_HOST', 'NEARVOTE_PORT'], 'NEARVOTE_PORT'],
    ['--dat', ['--split', '--data'], '--data'],
    ['photos', ['models', 'index'], undefined],
    ['a', ['b'], undefined],
    ['ab', [], undefined],
  ])('by %s is, of %s, %s', (typed, names, meant) => {
    expect(closestName(typed, names)).toBe(meant);
  });
});
