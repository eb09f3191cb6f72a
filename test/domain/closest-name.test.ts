import { describe, expect, it } from 'vitest';
import { closestName, similarNames } from '../../src/domain/closest-name.js';

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

describe('the names that one may be a slip of the pen for', () => {
  it.each([
    ['lynxx', ['lynx', 'fox', 'Lynx'], ['lynx', 'Lynx']],
    ['Cat', ['dog', 'cat', 'cats', 'bat'], ['cat', 'cats', 'bat']],
    ['red panda', ['red pandas', 'read pandas', 'panda'], ['red pandas', 'read pandas']],
    ['ox', ['fox', 'ax'], []],
    ['rabbit', ['hare'], []],
    ['cow', [], []],
  ])('for %s are, of %s, %s', (typed, names, similar) => {
    expect(similarNames(typed, names)).toEqual(similar);
  });
});
