import { describe, expect, it } from 'vitest';
import { sayFault } from '../../src/server/json-fault.js';
import { actsJson, reasonJson, relabelJson } from '../../src/server/example-body.js';
import { feedbackJson } from '../../src/server/review-schemas.js';
import { findingsJson } from '../../src/server/finding-schemas.js';
import { z, type ZodType } from 'zod';

describe('what is wrong with a JSON body', () => {
  it.each([
    ['a field that is missing', feedbackJson, { id: 'x' }, 'label is missing'],
    ['a number for text', feedbackJson, { id: 'x', label: 3 }, 'label is a number where text is expected'],
    ['null for text', relabelJson, { label: null }, 'label is null where text is expected'],
    ['a list', relabelJson, ['x'], 'it is a list where an object is expected'],
    ['a field too many', relabelJson, { label: 'x', lable: 'y' }, 'it has lable, which is not known'],
    [
      'too large a number',
      z.object({ p: z.number().max(1) }),
      { p: 2 },
      'p is too large: at most 1 is expected',
    ],
    ['an empty list', actsJson, { acts: [] }, 'acts is empty'],
    ['a kind that is none', actsJson, { acts: [{ kind: 'x' }] }, 'acts.0.kind is none that is known'],
    ['a field further in', actsJson, { acts: [{ kind: 'delete' }] }, 'acts.0.id is missing'],
    [
      'too long a text',
      reasonJson,
      { who: 'x'.repeat(1_001) },
      'who is wrong: Expected at most 1000 characters',
    ],
  ] as [string, ZodType, unknown, string][])('is said of %s', (_, schema, value, said) => {
    expect(sayFault(schema.safeParse(value).error?.issues[0], value)).toBe(said);
  });

  it('says nothing in the words of the checker where findings are others', () => {
    for (const value of [{}, [], { findings: [] }, { findings: [{ kind: 'x' }] }, { kind: 'duplicates' }]) {
      const said = sayFault(findingsJson.safeParse(value).error?.issues[0], value);
      expect(said).not.toContain('Invalid input');
    }
  });
});
