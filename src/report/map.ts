import { drawing, escapeText, legend, nothing, short } from './markup.js';
import { colourOf, shapeOf, type Shape } from './page-style.js';
import type { MapSection } from './section.js';

type Point = MapSection['maps'][number]['points'][number];

/** Maps side by side under one legend: a label looks the same in each. */
export function drawMaps({ title, maps }: MapSection): string {
  const labels = [...new Set(maps.flatMap(({ points }) => points.map(({ label }) => label)))].sort(
    byCodeUnits,
  );
  if (labels.length === 0) return nothing('No points.');
  const side = maps.length === 1 ? 720 : 500;
  const drawn = maps.map(
    ({ name, points }) =>
      `<figure><figcaption>${escapeText(name)}</figcaption>${drawMap({ title: `${title}: ${name}`, points, labels, side })}</figure>`,
  );
  const counts = countLabels(maps[0]?.points ?? []);
  const entries = labels.map((label, i) => ({
    name: label,
    swatch: `<g transform="translate(12 6) scale(1.7)">${marks(i, [[0, 0]])}</g>`,
    more: String(counts.get(label) ?? 0),
  }));
  return `<div class="beside">${drawn.join('')}</div>${legend(entries)}`;
}

function drawMap(of: {
  readonly title: string;
  readonly points: readonly Point[];
  readonly labels: readonly string[];
  readonly side: number;
}): string {
  const { title, labels, side } = of;
  const points = of.points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const place = placer(points, side);
  const byLabel = new Map<string, [number, number][]>();
  for (const point of points) {
    const places = byLabel.get(point.label) ?? [];
    places.push(place(point));
    byLabel.set(point.label, places);
  }
  const groups = labels.map((label, i) => {
    const places = byLabel.get(label);
    if (places === undefined) return '';
    return `<g class="points"><title>${escapeText(label)}</title>${marks(i, places)}</g>`;
  });
  const frame = `<rect class="frame" x="0.5" y="0.5" width="${side - 1}" height="${side - 1}" rx="6"/>`;
  return drawing({ width: side, height: side, title }, [frame, ...groups]);
}

/** From the map's own units, which mean nothing, into the square, with one scale for both axes. */
function placer(points: readonly Point[], side: number): (point: Point) => [number, number] {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of points) {
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [low, high] = [Math.min(low, y), Math.max(high, y)];
  }
  const extent = Math.max(right - left, high - low) || 1;
  const scale = (side - 28) / extent;
  return ({ x, y }) => [
    side / 2 + scale * (x - (left + right) / 2),
    side / 2 - scale * (y - (low + high) / 2),
  ];
}

function countLabels(points: readonly Point[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { label } of points) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Twice the reach of a mark. */
const size = 5;

type Place = readonly [number, number];

/** What follows the place of a mark in a path; discs and squares are the ends of a line of no length. */
const outlines: Readonly<Record<Shape, { readonly from: Place; readonly draw: string }>> = {
  disc: { from: [0, 0], draw: 'h0' },
  square: { from: [0, 0], draw: 'h0' },
  triangle: { from: [0, -3.2], draw: 'l3 5.4h-6z' },
  diamond: { from: [0, -3.4], draw: 'l3 3.4-3 3.4-3-3.4z' },
  cross: { from: [-2.4, -2.4], draw: 'l4.8 4.8m0-4.8l-4.8 4.8' },
};

/** The marks of the n-th label at `[x, y]`s, as one path: some ten bytes a mark. */
function marks(n: number, places: readonly Place[]): string {
  const colour = colourOf(n);
  const shape = shapeOf(n);
  const { from, draw } = outlines[shape];
  const path = places.map(([x, y]) => `M${short(x + from[0])} ${short(y + from[1])}${draw}`).join('');
  if (shape === 'cross') return `<path class="s${colour} line" stroke-width="1.8" d="${path}"/>`;
  if (shape === 'triangle' || shape === 'diamond') return `<path class="f${colour}" d="${path}"/>`;
  const cap = shape === 'disc' ? 'round' : 'square';
  const width = shape === 'disc' ? size : size - 0.6;
  return `<path class="s${colour} line" stroke-width="${width}" stroke-linecap="${cap}" d="${path}"/>`;
}
