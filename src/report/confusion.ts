import { drawing, escapeText, nothing, percent, short, shortened } from './markup.js';
import type { ConfusionSection } from './section.js';

interface Grid {
  readonly labels: readonly string[];
  readonly counts: ConfusionSection['counts'];
  readonly cell: number;
  readonly left: number;
  readonly top: number;
}

/** Beyond this a cell has no room for a count, and says its share of the row in percent. */
const mostWithCounts = 30;
/** Beyond this it has no room for that either. */
const mostWithText = 110;
/** What is left in a row's label once it has lost its end. */
const labelLength = 20;

/**
 * A row a true label, a column a given one; the deeper a cell's colour, the larger its share of its row. What is right
 * has one colour, what is wrong another.
 */
export function drawConfusion(section: ConfusionSection): string {
  const { title, labels, counts } = section;
  const n = labels.length;
  if (n === 0) return nothing('No labels.');
  const cell =
    n <= 12 ? 48 : n <= 20 ? 34 : n <= mostWithCounts ? 26 : n <= 60 ? 15 : n <= mostWithText ? 10.5 : 5;
  const letters = Math.min(labelLength, Math.max(...labels.map(({ length }) => length || 7)));
  const size = labelSize(cell);
  const room = Math.max(44, letters * size * 0.62 + 12);
  const grid: Grid = { labels, counts, cell, left: room + 22, top: room * (tilted(cell) ? 0.66 : 1) + 26 };
  const side = n * cell;
  const totals = 52;
  const width = grid.left + side + Math.max(totals, tilted(cell) ? room * 0.75 : 0);
  const picture = drawing({ width, height: grid.top + side + 6, title }, [
    `<rect class="frame" x="${short(grid.left)}" y="${short(grid.top)}" width="${short(side)}" height="${short(side)}"/>`,
    ...labels.map((_, row) => drawRow(grid, row)),
    rules(grid),
    ...labels.map((label, i) => drawLabels(grid, label, i)),
    axisNames(grid, side),
  ]);
  return `<figure class="scroll">${picture}</figure>${n > mostWithCounts ? inPercent(n) : ''}`;
}

const tilted = (cell: number): boolean => cell >= 26;
const labelSize = (cell: number): number => Math.min(12.5, Math.max(4.5, cell * 0.82));

function inPercent(n: number): string {
  const what =
    n > mostWithText
      ? 'Too many labels for figures: point at a cell to read it.'
      : 'Cells say percent of their row; those under 1 % are left bare. Point at a cell for its count.';
  return `<p class="note">${what}</p>`;
}

const countedOr0 = (count: number): number => (Number.isFinite(count) && count > 0 ? count : 0);

/** Only what is not zero is drawn: the cells grow with the images, not with the square of the labels. */
function drawRow({ labels, counts, cell, left, top }: Grid, row: number): string {
  const values = labels.map((_, column) => counts[row]?.[column] ?? 0).map(countedOr0);
  const total = values.reduce((sum, value) => sum + value, 0);
  const y = top + row * cell;
  const cells = values.map((count, column) => {
    if (count === 0) return '';
    const share = count / total;
    const right = row === column;
    // The root lifts small shares: a few mistakes among thousands are what the reader looks for.
    const depth = right ? 0.15 + 0.85 * share : 0.12 + 0.88 * Math.sqrt(share);
    const x = left + column * cell;
    const title = escapeText(
      `${labels[row] ?? ''} given as ${labels[column] ?? ''}: ${count} of ${total} (${percent(share)})`,
    );
    return (
      `<g><title>${title}</title><rect class="${right ? 'right' : 'wrong'}" x="${short(x)}" y="${short(y)}" ` +
      `width="${cell}" height="${cell}" fill-opacity="${depth.toFixed(2)}"/>` +
      `${figure({ count, share, cell, n: labels.length, x, y, deep: depth > 0.55 })}</g>`
    );
  });
  const said =
    cell < 7
      ? ''
      : `<text class="tick" x="${short(left + labels.length * cell + 6)}" y="${short(y + cell / 2)}" dy="0.35em" font-size="${short(labelSize(cell))}">${total}</text>`;
  return cells.join('') + said;
}

function figure(of: {
  readonly count: number;
  readonly share: number;
  readonly cell: number;
  readonly n: number;
  readonly x: number;
  readonly y: number;
  readonly deep: boolean;
}): string {
  const { count, share, cell, n, x, y, deep } = of;
  if (n > mostWithText || (n > mostWithCounts && share < 0.01)) return '';
  const text = n > mostWithCounts ? String(Math.round(100 * share)) : String(count);
  const size = Math.min(14, cell * 0.55, (cell * 1.5) / text.length);
  return (
    `<text class="mid${deep ? ' deep' : ''}" x="${short(x + cell / 2)}" y="${short(y + cell / 2)}" dy="0.35em" ` +
    `font-size="${short(size)}">${text}</text>`
  );
}

function rules({ labels, cell, left, top }: Grid): string {
  const side = labels.length * cell;
  const lines = labels
    .slice(1)
    .map((_, i) => {
      const at = (i + 1) * cell;
      return `M${short(left)} ${short(top + at)}h${short(side)}M${short(left + at)} ${short(top)}v${short(side)}`;
    })
    .join('');
  return `<path class="grid" d="${lines}"/>`;
}

function drawLabels({ cell, left, top }: Grid, label: string, i: number): string {
  const size = short(labelSize(cell));
  const shown = `<title>${escapeText(label)}</title>${shortened(label, labelLength)}`;
  const middle = (i + 0.5) * cell;
  const turn = tilted(cell) ? -40 : -90;
  return (
    `<text class="end" x="${short(left - 6)}" y="${short(top + middle)}" dy="0.35em" font-size="${size}">${shown}</text>` +
    `<text transform="translate(${short(left + middle)} ${short(top - 6)}) rotate(${turn})" dy="0.25em" font-size="${size}">${shown}</text>`
  );
}

function axisNames({ left, top, cell }: Grid, side: number): string {
  return (
    `<text class="mid axis" x="${short(left + side / 2)}" y="12">predicted</text>` +
    (cell < 7 ? '' : `<text class="tick" x="${short(left + side + 6)}" y="${short(top - 6)}">images</text>`) +
    `<text class="mid axis" transform="translate(12 ${short(top + side / 2)}) rotate(-90)">truth</text>`
  );
}
