import type { Answer, AnsweredDecision } from './answers.js';

/** Of a result file, in this order. */
export const columns = [
  'path',
  'label',
  'confidence',
  'p_value',
  'outcome',
  'nearest_ids',
  'index_version',
  'error',
] as const;

export const headerRow = `${columns.join(',')}\r\n`;

/**
 * An answer as a row of RFC 4180, UTF-8. Numbers are as JSON writes them; `error` holds a code, a colon and a sentence, and is
 * empty where there is a decision.
 */
export function rowOf(answer: Answer): string {
  const path = pathCell(answer.file);
  if ('error' in answer) {
    const { code, message } = answer.error;
    return line([path, '', '', '', '', '', '', `${code}: ${message}`]);
  }
  const { label, confidence, pValue, outcome, neighbours, index } = answer.decision;
  return line([
    path,
    harmless(label),
    String(confidence),
    pValue === undefined ? '' : String(pValue),
    outcome,
    harmless(neighbours.map(({ id }) => id).join(' ')),
    harmless(versionOf(index)),
    '',
  ]);
}

/** A version alone, or with the number of its last change behind it. */
function versionOf({ version, sequence }: AnsweredDecision['index']): string {
  return sequence === 0 ? version : `${version}@${sequence}`;
}

/** What a spreadsheet may take for a formula when a cell begins with it, in every width of a letter. */
const beginsFormula = /^[=+\-@\t\r\n＝＋－＠]/;

/** A path as a row holds it: one that a spreadsheet could take for a formula begins with `./`, which is the same file. */
export function pathCell(path: string): string {
  return beginsFormula.test(path) ? `./${path}` : path;
}

/** An apostrophe keeps a spreadsheet from computing; a text that begins with one gets another, so that one is always taken off. */
function harmless(text: string): string {
  return text.startsWith("'") || beginsFormula.test(text) ? `'${text}` : text;
}

function line(cells: readonly string[]): string {
  return `${cells.map(quoted).join(',')}\r\n`;
}

function quoted(cell: string): string {
  return /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
