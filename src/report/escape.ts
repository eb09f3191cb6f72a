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
