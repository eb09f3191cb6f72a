import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columns, headerRow, rowOf } from '../../src/batch/csv-row.js';
import { decided } from './decided.js';

const cellsOf = (text: string): string[][] => parse(text, { relax_column_count: false });

describe('a row', () => {
  it('holds what was decided, under the columns', () => {
    const answer = decided('photos/1.jpg', {
      ...{ label: 'cat', confidence: 0.1 + 0.2, pValue: 1e-7, outcome: 'unknown' },
      neighbours: [
        { id: 'a1', label: 'cat', similarity: 0.9 },
        { id: 'b2', label: 'dog', similarity: 0.8 },
      ],
    });
    expect(`${headerRow}${rowOf(answer)}`).toBe(
      'path,label,confidence,p_value,outcome,nearest_ids,index_version,error\r\n' +
        'photos/1.jpg,cat,0.30000000000000004,1e-7,unknown,a1 b2,v1,\r\n',
    );
  });

  it('leaves empty what is not known: the p-value without a calibration, all but the error of a failure', () => {
    expect(rowOf(decided('1.jpg', { label: 'cat', confidence: 1 }))).toBe('1.jpg,cat,1,,known,,v1,\r\n');
    const error = { code: 'image_damaged', message: 'Expected a "whole" image, cut\nshort' } as const;
    expect(rowOf({ file: '2.jpg', error })).toBe(
      '2.jpg,,,,,,,"image_damaged: Expected a ""whole"" image, cut\nshort"\r\n',
    );
  });

  it('is read back by another parser as the path and label that were written, whatever is in them', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(text, text, (path, label) => {
        const [cells = []] = cellsOf(rowOf(decided(path, { label })));
        expect(cells).toHaveLength(columns.length);
        expect([path, `./${path}`]).toContain(cells[0]);
        expect(cells[1]?.replace(/^'/, '')).toBe(label);
      }),
    );
  });

  it('begins no cell with what a spreadsheet computes', () => {
    for (const start of ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
      const text = `${start}HYPERLINK("http://example.org")`;
      const ids = [{ id: text, label: 'x', similarity: 1 }];
      const [cells = []] = cellsOf(rowOf(decided(text, { label: text, neighbours: ids })));
      expect(cells[0]).toBe(`./${text}`);
      expect(cells[1]).toBe(`'${text}`);
      expect(cells[5]).toBe(`'${text}`);
    }
  });

  it('names the last change of the index behind its version, where there was one', () => {
    const index = { name: 'i', version: 'v1', sequence: 7 };
    expect(rowOf(decided('1.jpg', { index }))).toContain(',v1@7,');
  });

  it('marks a label that begins with an apostrophe, so that one is always taken off', () => {
    expect(cellsOf(rowOf(decided('x', { label: "'80s" })))[0]?.[1]).toBe("''80s");
  });
});
