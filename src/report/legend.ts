import { escapeText, isolated } from './escape.js';

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
