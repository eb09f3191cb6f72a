import { describe, expect, it } from 'vitest';
import { asEmbeddings, dot } from '../../src/domain/embeddings.js';

describe('asEmbeddings', () => {
  it('takes rows of unit length', () => {
    const values = Float32Array.of(1, 0, 0.6, 0.8, 0, -1);
    expect(asEmbeddings(values, 2)).toEqual({ count: 3, dimension: 2, values });
  });

  it.each([
    ['too long', Float32Array.of(1, 0, 0.9, 0.9), 'row 1 has length 1.27'],
    ['zero', Float32Array.of(0, 0), 'row 0 has length 0'],
    ['not a number', Float32Array.of(NaN, 1), 'row 0 has length NaN'],
    ['infinite', Float32Array.of(Infinity, 0), 'row 0 has length Infinity'],
  ])('refuses a row that is %s and names it', (_, values, message) => {
    expect(() => asEmbeddings(values, 2)).toThrow(message);
  });

  it('refuses values that do not fill whole rows', () => {
    expect(() => asEmbeddings(new Float32Array(5), 2)).toThrow('Expected rows of 2 values but received 5');
  });
});

describe('dot', () => {
  it('is the cosine of two unit rows, from any offset', () => {
    const values = Float32Array.of(9, 1, 0, 0.5, Math.sqrt(3) / 2);
    expect(dot(values, 1, values, 3, 2)).toBeCloseTo(Math.cos(Math.PI / 3), 6);
  });

  it('does not hide a read past the end', () => {
    expect(dot(Float32Array.of(1), 0, Float32Array.of(1), 0, 2)).toBeNaN();
  });
});
