import { describe, expect, it } from 'vitest';

import {
  checkClassifyQuery,
  parseClassifyQuery,
  parseIndexQuery,
  type ClassifyQuery,
} from '../../src/server/schemas.js';

const bounds = { examples: 30, defaultK: 20, maxK: 1000, maxNeighbours: 100 };
const parse = (query: unknown, within = bounds): ClassifyQuery => {
  const parsed = parseClassifyQuery(query);
  checkClassifyQuery(parsed, within);
  return parsed;
};

describe('the query of /classify', () => {
  it('may be empty, or set any of its four parameters', () => {
    expect(parse({})).toEqual({});
    expect(parse({ k: '30', vote: 'majority', neighbours: '30', index: 'leaves' })).toEqual({
      k: 30,
      vote: 'majority',
      neighbours: 30,
      index: 'leaves',
    });
    expect(parse({ neighbours: '0' })).toEqual({ neighbours: 0 });
  });

  it.each(['0', '-1', '1.5', '1e1', '0x10', ' 5', '', 'five', '05', '9'.repeat(30), '5; drop'])(
    'is query_invalid where k is %j',
    (k) => {
      expect(() => parse({ k })).toThrow(
        expect.objectContaining({
          code: 'query_invalid',
          message: expect.stringMatching(/^Query parameter k: Expected/) as string,
        }),
      );
    },
  );

  it('is k_too_large where k is more than the index has', () => {
    expect(() => parse({ k: '31' })).toThrow(expect.objectContaining({ code: 'k_too_large' }));
  });

  it('is query_invalid where more neighbours are to be shown than vote', () => {
    expect(() => parse({ k: '3', neighbours: '4' })).toThrow(
      expect.objectContaining({ code: 'query_invalid' }),
    );
    expect(() => parse({ neighbours: '21' })).toThrow(/at most k, which is 20/);
    expect(() => parse({ neighbours: '6' }, { ...bounds, examples: 5 })).toThrow(/which is 5/);
  });

  it('is refused past what the server allows, in an index that has more', () => {
    const large = { ...bounds, examples: 5000 };
    expect(() => parse({ k: '1001' }, large)).toThrow(
      expect.objectContaining({
        code: 'k_too_large',
        message: 'Expected k of at most 1000 but received 1001',
      }),
    );
    const ask = { k: '1000', neighbours: '100' };
    expect(parse(ask, large)).toEqual({ k: 1000, neighbours: 100 });
    expect(() => parse({ ...ask, neighbours: '101' }, large)).toThrow(
      expect.objectContaining({ code: 'query_invalid' }),
    );
  });

  it('is query_invalid where vote is unknown, naming the choices', () => {
    expect(() => parse({ vote: 'Softmax' })).toThrow(
      /one of softmax, majority, similarity, rank but received "Softmax"/,
    );
  });

  it('is query_invalid where a parameter is unknown, naming it and those that are known', () => {
    expect(() => parse({ top: '5' })).toThrow(
      /parameters k, vote, neighbours, index, atLeast but received "top"/,
    );
  });

  it('is query_invalid where a parameter is given twice', () => {
    expect(() => parse({ k: ['1', '2'] })).toThrow(
      /parameter k: Expected one value but received several values/,
    );
    expect(() => parse({ vote: ['softmax', 'softmax'] })).toThrow(
      expect.objectContaining({ code: 'query_invalid' }),
    );
  });
});

describe('the query of /embed', () => {
  it('may name an index, and nothing else', () => {
    expect(parseIndexQuery({})).toBeUndefined();
    expect(parseIndexQuery({ index: 'leaves' })).toBe('leaves');
    expect(() => parseIndexQuery({ k: '5' })).toThrow(/the query parameter index but received "k"/);
    expect(() => parseIndexQuery({ index: ['a', 'b'] })).toThrow(
      /index: Expected one value but received several/,
    );
    expect(() => parseIndexQuery({ index: '' })).toThrow(/index: Expected a name but received ""/);
  });
});
