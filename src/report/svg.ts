import { escapeText } from './escape.js';

/** A coordinate to a tenth of a pixel, as short as it can be written. */
export function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export interface DrawingOptions {
  readonly width: number;
  readonly height: number;
  /** Read out in place of the picture. */
  readonly title: string;
}

/** A drawing that shrinks with the page but grows no larger than it was drawn. */
export function drawing({ width, height, title }: DrawingOptions, parts: readonly string[]): string {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  return (
    `<svg viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img" aria-label="${escapeText(title)}">` +
    `${parts.join('')}</svg>`
  );
}

/** Shares as `12.3 %`, and what is no number as a dash. */
export function percent(share: number, digits = 1): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '–';
}

/** What stands where there is nothing to draw. */
export function nothing(what: string): string {
  return `<p class="none">${escapeText(what)}</p>`;
}
