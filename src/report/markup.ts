const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Text as it may stand between tags and in quoted attributes. What XML has no place for (control characters, lone
 * surrogates) and what would turn the text around it (bidirectional overrides) becomes U+FFFD.
 */
export function escapeText(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => entities[character] ?? '')
    .replace(/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu, (character) =>
      character === '\n' || character === '\t' ? ' ' : '\ufffd',
    );
}

/** A label or file name in running text: it keeps its own direction and does not turn its neighbours around. */
export function isolated(text: string): string {
  return `<bdi>${escapeText(text === '' ? '(empty)' : text)}</bdi>`;
}

/** Escaped and at most `most` characters long, of which the last says that there were more. */
export function shortened(text: string, most: number): string {
  const shown = text === '' ? '(empty)' : text;
  // By code point, and never by more than is needed: a label can be a book.
  const characters = Array.from(shown.slice(0, 2 * most + 2));
  const fits = characters.length <= most && shown.length <= 2 * most + 2;
  return escapeText(fits ? shown : `${characters.slice(0, most - 1).join('')}…`);
}

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

export interface LegendEntry {
  readonly name: string;
  /** Drawn in 24 x 12 pixels. */
  readonly swatch: string;
  /** Said behind the name, as a count. */
  readonly more?: string;
}

/** Names and what stands for them, in as many columns as there is room for. */
export function legend(entries: readonly LegendEntry[]): string {
  const items = entries.map(
    ({ name, swatch, more }) =>
      `<li title="${escapeText(name)}"><svg viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">` +
      `${swatch}</svg><span class="name">${isolated(name)}</span>` +
      `${more === undefined ? '' : `<span class="more">${escapeText(more)}</span>`}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}
