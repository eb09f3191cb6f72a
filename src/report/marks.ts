import { colourOf, shapeOf, type Shape } from './palette.js';
import { short } from './svg.js';

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
export function marks(n: number, places: readonly Place[]): string {
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
