/**
 * What data must not do to a terminal: C0 and C1 controls move the cursor, set colours and titles, or answer as if typed;
 * bidirectional controls show text in another order than it has; line separators and lone surrogates print as nothing.
 */
const unsafe = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
/** The same, but for the line ends and tabs of a text that nearvote has set itself. */
const keptInText: ReadonlySet<string> = new Set(['\n', '\t']);

/** A label, a name or a message on one line of a terminal: what could do more there than be read is written as `\u001b`. */
export function printable(text: string): string {
  return text.replace(unsafe, escaped);
}

/** Lines for a terminal; what they say of data has been through `printable` where a line end would mislead. */
export function printableLines(text: string): string {
  return text.replace(unsafe, (character) => (keptInText.has(character) ? character : escaped(character)));
}

/** Prints a result, on stdout. */
export function print(text: string): void {
  console.log(printableLines(text));
}

/** Prints a remark or an error, on stderr. */
export function printError(text: string): void {
  console.error(printableLines(text));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
