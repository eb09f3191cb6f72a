import { escapeText } from './escape.js';
import { short } from './svg.js';

/** A square whose sides run from 0 to 1. */
export interface UnitAxes {
  readonly left: number;
  readonly top: number;
  readonly side: number;
  readonly x: string;
  readonly y: string;
}

const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];

export const toX = ({ left, side }: UnitAxes, value: number): number => left + side * value;
export const toY = ({ top, side }: UnitAxes, value: number): number => top + side * (1 - value);

/** Grid, tick labels and names of the axes; `noX` leaves the x axis to what stands below. */
export function drawAxes(axes: UnitAxes, { noX = false }: { readonly noX?: boolean } = {}): string {
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
    `<text transform="translate(${short(left - 38)} ${middle}) rotate(-90)" class="mid axis">${escapeText(axes.y)}</text>` +
    (noX ? '' : xName(axes, top + side + 36))
  );
}

/** The name of the x axis, at a height. */
export function xName({ left, side, x }: UnitAxes, y: number): string {
  return `<text x="${short(left + side / 2)}" y="${short(y)}" class="mid axis">${escapeText(x)}</text>`;
}

/** From corner to corner: where x and y are equal. */
export function drawDiagonal({ left, top, side }: UnitAxes): string {
  return `<path class="diagonal" d="M${short(left)} ${short(top + side)}l${side} ${-side}"/>`;
}
