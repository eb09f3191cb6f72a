import { escapeText, isolated } from './escape.js';
import type { TableSection } from './section.js';
import { nothing } from './svg.js';

/** A table with more rows scrolls; one that is a little taller than its frame would look as if it ended there. */
const mostRowsAtOnce = 40;

export function drawTable({ columns, rows }: TableSection): string {
  if (rows.length === 0) return nothing('No rows.');
  const aligned = (column: number): string => (columns[column]?.align === 'right' ? ' class="right"' : '');
  const head = columns.map(({ name }, i) => `<th scope="col"${aligned(i)}>${escapeText(name)}</th>`).join('');
  const body = rows.map((row) => {
    const cells = columns.map((_, i) => {
      const cell = row[i] ?? '';
      return `<td${aligned(i)}>${cell === '' ? '' : isolated(cell)}</td>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  });
  return (
    `<div class="scroll${rows.length > mostRowsAtOnce ? ' tall' : ''}" tabindex="0"><table><thead><tr>${head}</tr></thead>` +
    `<tbody>${body.join('\n')}</tbody></table></div>`
  );
}
