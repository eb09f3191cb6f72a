import { escapeText } from './escape.js';
import { legend } from './legend.js';
import type { ReliabilityBin, ReliabilitySection } from './section.js';
import { drawing, nothing, percent, short } from './svg.js';
import { drawAxes, drawDiagonal, toX, toY, xName, type UnitAxes } from './unit-axes.js';

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
