import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/domain/decision.js';
import { decisionTable } from '../../src/cli/decision-table.js';

const decision: Decision = {
  ...{ id: 'one', label: 'cat', confidence: 0.484, pValue: 0.035, outcome: 'known', calibrated: true },
  scores: [
    { label: 'cat', score: 0.6 },
    { label: 'frog', score: 0.4 },
  ],
  neighbours: [{ id: 'n', label: 'cat', source: 'cats/a.png', similarity: 0.886 }],
  ...{ index: { name: 'pets', version: 'v1', sequence: 0 }, encoder: { name: 'e', version: '1' } },
};
/** The cells of a table's rows, without their lines. */
const textOf = (table: string): string => table.replaceAll(/[│├┤┼─┌┐└┘┬┴]+/g, '').replaceAll(/ +/g, ' ');

describe('the table of decisions', () => {
  it('names the folder of each file from the one that they share', () => {
    const files = ['/home/me/photos/cats/1.jpg', '/home/me/photos/dogs/1.jpg'];
    const text = textOf(
      decisionTable(
        files.map((file) => ({ file, decision })),
        0,
      ),
    );
    expect(text).toContain(' cats/1.jpg ');
    expect(text).toContain(' dogs/1.jpg ');
    expect(text).not.toContain('/home');
  });

  it('keeps the whole of a long name, over several lines', () => {
    const name = `${'0123456789'.repeat(5)}.jpg`;
    const cells = decisionTable([{ file: name, decision }], 0)
      .split('\n')
      .map((line) => line.split('│')[1]?.trim() ?? '');
    expect(cells.join('')).toContain(name);
  });

  it('tells the confidence of the label from the share of the vote of the second', () => {
    const text = textOf(decisionTable([{ file: 'a.jpg', decision }], 0));
    for (const said of ['cat', 'confidence 0.484', 'p-value 0.035', 'frog: 0.400 of vote']) {
      expect(text).toContain(said);
    }
    expect(text).not.toContain('unknown');
  });

  it('says unknown in a word of its own, before the nearest label', () => {
    const unknown: Decision = { ...decision, outcome: 'unknown' };
    expect(textOf(decisionTable([{ file: 'a.jpg', decision: unknown }], 0))).toMatch(/ unknown [^]* cat /);
  });

  it('prints nothing that steers a terminal', () => {
    const file = 'a\u001b[2J.jpg';
    expect(decisionTable([{ file, decision }], 0)).not.toContain('\u001b[2J');
  });
});
