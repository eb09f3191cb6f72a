import Table from 'cli-table3';
import type { TableSection } from '../report/section.js';
import { printable } from './printable.js';

/** No line between rows. */
export const noRules = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** A table of a page for a terminal, with the same figures. */
export function tableOf({ columns, rows }: TableSection): string {
  const table = new Table({
    head: columns.map(({ name }) => name),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    style: { head: [], border: [] },
    chars: noRules,
  });
  for (const row of rows) table.push(row.map((cell) => (typeof cell === 'string' ? printable(cell) : cell)));
  return table.toString();
}
