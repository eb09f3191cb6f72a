import { drawing, escapeText, legend, nothing, percent, short } from './markup.js';
import { colourOf, dashOf } from './page-style.js';
import type { CurveSection, ReliabilityBin, ReliabilitySection } from './section.js';

/** A square whose sides run from 0 to 1. */
interface UnitAxes {
  readonly left: number;
  readonly top: number;
  readonly side: number;
  readonly x: string;
  readonly y: string;
}

const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];

const toX = ({ left, side }: UnitAxes, value: number): number => left + side * value;
const toY = ({ top, side }: UnitAxes, value: number): number => top + side * (1 - value);

/** Grid, tick labels and names of the axes; `noX` leaves the x axis to what stands below. */
function drawAxes(axes: UnitAxes, { noX = false }: { readonly noX?: boolean } = {}): string {
  const { left, top, side } = axes;
  const lines = ticks.map((tick) => {
    const x = short(toX(axes, tick));
    const y = short(toY(axes, tick));
    const across = noX ? '' : `<text x="${x}" y="${short(top + side + 16)}" class="mid tick">${tick}</text>`;
    return (
      `<path class="grid" d="M${short(left)} ${y}h${side}M${x} ${short(top)}v${side}"/>` +
      `<text x="${short(left - 8)}" y="${short(toY(axes, tick) + 4)}" class="end tick">${tick}</text>${across}`
    );
  });
  const middle = short(top + side / 2);
  return (
    lines.join('') +
    `<text transform="translate(${short(left - 44)} ${middle}) rotate(-90)" class="mid axis">${escapeText(axes.y)}</text>` +
    (noX ? '' : xName(axes, top + side + 36))
  );
}

/** The name of the x axis, at a height. */
function xName({ left, side, x }: UnitAxes, y: number): string {
  return `<text x="${short(left + side / 2)}" y="${short(y)}" class="mid axis">${escapeText(x)}</text>`;
}

/** From corner to corner: where x and y are equal. */
function drawDiagonal({ left, top, side }: UnitAxes): string {
  return `<path class="diagonal" d="M${short(left)} ${short(top + side)}l${side} ${-side}"/>`;
}

export function drawCurve(section: CurveSection): string {
  const { title, x, y, series, diagonal } = section;
  if (series.every(({ points }) => points.length === 0)) return nothing('No points.');
  const axes: UnitAxes = { left: 66, top: 12, side: 400, x, y };
  const lines = series.map(({ points }, i) => {
    const dash = dashOf(i);
    const broken = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
    return `<path class="s${colourOf(i)} line curve"${broken} d="${pathOf(points, axes)}"/>`;
  });
  const picture = drawing({ width: 482, height: 456, title }, [
    drawAxes(axes),
    diagonal === '' ? '' : drawDiagonal(axes),
    ...lines,
  ]);
  const entries = series.map(({ name }, i) => ({
    name,
    swatch: `<path class="s${colourOf(i)} line curve" stroke-dasharray="${dashOf(i) || 'none'}" d="M0 6h24"/>`,
  }));
  const along = { name: diagonal, swatch: '<path class="diagonal" d="M0 6h24"/>' };
  return `<figure>${picture}${legend(diagonal === '' ? entries : [...entries, along])}</figure>`;
}

/** To a tenth of a pixel, which leaves few of a ROC's ten thousand points; a point that is no number breaks the line. */
function pathOf(points: readonly (readonly [number, number])[], axes: UnitAxes): string {
  let path = '';
  let last = '';
  let broken = true;
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      broken = true;
      continue;
    }
    const place = `${short(toX(axes, x))} ${short(toY(axes, y))}`;
    if (broken || place !== last) path += `${broken ? 'M' : 'L'}${place}`;
    last = place;
    broken = false;
  }
  return path;
}

const axes: UnitAxes = { left: 66, top: 12, side: 340, x: 'confidence', y: 'accuracy' };
/** The histogram below: its top and its height. */
const below = { top: axes.top + axes.side + 16, height: 70 };

/** A panel a series: accuracy against confidence, and how many images each bin holds. */
export function drawReliability({ title, series }: ReliabilitySection): string {
  const filled = series.filter(({ bins }) => bins.some(({ count }) => count > 0));
  if (filled.length === 0) return nothing('No images.');
  const panels = filled.map(
    ({ name, bins }) =>
      `<figure><figcaption>${escapeText(name)}</figcaption>${drawPanel(`${title}: ${name}`, bins)}</figure>`,
  );
  const entries = [
    { name: 'accuracy', swatch: '<rect class="f0" width="24" height="12" rx="2"/>' },
    { name: 'gap to the mean confidence', swatch: '<rect class="gap" width="24" height="12" rx="2"/>' },
    { name: 'as sure as right', swatch: '<path class="diagonal" d="M0 6h24"/>' },
  ];
  return `<div class="beside">${panels.join('')}</div>${legend(entries)}`;
}

function drawPanel(title: string, bins: readonly ReliabilityBin[]): string {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const most = Math.max(...bins.map(({ count }) => count));
  const width = axes.side / bins.length;
  const bars = bins.map((bin, i) => drawBin(bin, { x: toX(axes, i / bins.length), width, total, most }));
  const bottom = below.top + below.height;
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1].map(
    (tick) => `<text x="${short(toX(axes, tick))}" y="${short(bottom + 15)}" class="mid tick">${tick}</text>`,
  );
  return drawing({ width: axes.left + axes.side + 16, height: bottom + 44, title }, [
    drawAxes(axes, { noX: true }),
    ...bars,
    drawDiagonal(axes),
    `<path class="base" d="M${axes.left} ${bottom}h${axes.side}"/>`,
    `<text x="${axes.left - 8}" y="${below.top + 9}" class="end tick">${percent(most / total, 0)}</text>`,
    `<text x="${axes.left - 8}" y="${bottom}" class="end tick">0</text>`,
    `<text transform="translate(${axes.left - 48} ${below.top + below.height / 2}) rotate(-90)" class="mid axis">images</text>`,
    ...ticks,
    xName(axes, bottom + 35),
  ]);
}

function drawBin(
  { count, confidence, accuracy }: ReliabilityBin,
  at: { readonly x: number; readonly width: number; readonly total: number; readonly most: number },
): string {
  if (count === 0 || !Number.isFinite(accuracy)) return '';
  const x = short(at.x + 1);
  const width = short(Math.max(1, at.width - 2));
  // The bar ends where the gap begins, whichever way that goes: one colour over the other would be a third.
  const low = Number.isFinite(confidence) ? Math.min(accuracy, confidence) : accuracy;
  const high = Math.max(accuracy, confidence);
  const bar = `<rect class="f0" x="${x}" y="${short(toY(axes, low))}" width="${width}" height="${short(axes.side * low)}"/>`;
  const reached = `<path class="s0 reached" d="M${x} ${short(toY(axes, accuracy))}h${width}"/>`;
  const gap = Number.isFinite(confidence)
    ? `<rect class="gap" x="${x}" y="${short(toY(axes, high))}" width="${width}" height="${short(axes.side * Math.abs(accuracy - confidence))}"/>`
    : '';
  const tall = (below.height * count) / at.most;
  const share = `<rect class="count" x="${x}" y="${short(below.top + below.height - tall)}" width="${width}" height="${short(tall)}"/>`;
  const title = escapeText(
    `${count} images (${percent(count / at.total)}): accuracy ${percent(accuracy)}, mean confidence ${percent(confidence)}`,
  );
  return `<g><title>${title}</title>${bar}${gap}${reached}${share}</g>`;
}
