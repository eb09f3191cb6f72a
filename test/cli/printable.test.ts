import { describe, expect, it } from 'vitest';

import { printable, printableLines } from '../../src/cli/printable.js';
import { tableOf } from '../../src/cli/output.js';

describe('text from data on a terminal', () => {
  it.each([
    ['an escape that clears the screen', 'a\u001b[2Jb', 'a\\u001b[2Jb'],
    ['its one-byte form', 'a\u009b2Jb', 'a\\u009b2Jb'],
    ['a line of its own', 'cat\nnearvote: all is well', 'cat\\u000anearvote: all is well'],
    ['a return to the start of the line', 'evil\rgood', 'evil\\u000dgood'],
    ['an order that is not that of its letters', 'a\u202egnp.exe', 'a\\u202egnp.exe'],
    ['half of a character', 'a\ud83d!', 'a\\ud83d!'],
  ])('shows %s as an escape', (_what, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('is left as it is where it can only be read', () => {
    const text = 'Grüße 猫 🐈 عربى, a\\b "c"';
    expect(printable(text)).toBe(text);
    expect(printableLines('two\nlines\tand a tab')).toBe('two\nlines\tand a tab');
  });

  it('that is JSON means the same afterwards', () => {
    const value = { label: 'a\u001b\u009b\u202e\u2028\ufeff' };
    expect(JSON.parse(printableLines(JSON.stringify(value)))).toEqual(value);
  });

  it('keeps to its cell of a table', () => {
    const columns = [{ name: 'label' }];
    const table = tableOf({ columns, rows: [['cat\n\u001b[31m']] } as unknown as Parameters<
      typeof tableOf
    >[0]);
    expect(table).toContain('cat\\u000a\\u001b[31m');
  });
});
