import { describe, expect, it } from 'vitest';
import { createTeaching } from '../../src/curate/taught.js';
import { NearvoteError } from '../../src/domain/errors.js';

const added = (id: string) => ({ outcome: 'added', id, label: 'cat' }) as const;

describe('what an index was taught', () => {
  it('names every operation that it took, once', () => {
    const teaching = createTeaching(3);
    expect(teaching.operation).toBeUndefined();
    teaching.made(['a'], { sequence: 4, operation: 4, outcomes: [added('a')] });
    teaching.made(['b'], { sequence: 5, operation: 4, outcomes: [added('b')] });
    teaching.settle('c', { outcome: 'refused', code: 'image_damaged', message: 'It is damaged' });
    teaching.made(['d'], { sequence: 8, operation: 8, outcomes: [added('d')] });
    expect(teaching.operation).toBe(8);
    const { outcomes, ...rest } = teaching.result();
    expect(rest).toEqual({ sequence: 8, operation: 4, operations: [4, 8] });
    expect(outcomes.map(({ file, outcome }) => [file, outcome])).toEqual([
      ['a', 'added'],
      ['b', 'added'],
      ['c', 'refused'],
      ['d', 'added'],
    ]);
  });

  it('says what was added before an error, and how that is taken back', () => {
    const full = new NearvoteError('output_unwritable', 'Expected to write live.db but cannot (ENOSPC)');
    const teaching = createTeaching(0);
    expect(teaching.interrupted(full)).toBe(full);
    teaching.made(['a'], { sequence: 1, operation: 1, outcomes: [added('a')] });
    expect(teaching.interrupted(full)).toMatchObject({
      code: 'output_unwritable',
      message: expect.stringMatching(
        /ENOSPC.*1 image was added.*nearvote index revert 1, of the same index, takes/,
      ) as string,
    });
  });
});
