import type { Taught, TaughtFile } from '../curate/taught.js';
import type { Changed, ChangeOutcome } from '../neighbours/changes.js';
import { printable } from './printable.js';

const mostShown = 20;

/** What a change came to, for people; `where` are the options that name the index. */
export function changedLines({ sequence, operation, outcomes }: Changed, where: string): string {
  return [
    ...someOf(outcomes),
    ...newLabelLines(outcomes),
    ending(sequence, operation === null ? [] : [operation], where),
  ].join('\n');
}

/** What teaching came to, for people: what was left out comes first, for the rest is as it was to be. */
export function taughtLines({ sequence, operations, outcomes }: Taught, where: string): string {
  const refused = outcomes.filter(({ outcome }) => outcome === 'refused');
  const others = outcomes.filter(({ outcome }) => outcome !== 'refused');
  const count = (outcome: ChangeOutcome['outcome']): number =>
    outcomes.filter((one) => one.outcome === outcome).length;
  const unchanged = count('unchanged');
  const sum = [
    `${count('added')} added`,
    ...(unchanged > 0 ? [`${unchanged} there already`] : []),
    ...(refused.length > 0 ? [`${refused.length} left out`] : []),
  ].join(', ');
  return [
    ...someOf(refused),
    ...someOf(others),
    ...(outcomes.length > 1 ? [sum] : []),
    ...newLabelLines(outcomes),
    ending(sequence, operations, where),
  ].join('\n');
}

function someOf(outcomes: readonly (ChangeOutcome | TaughtFile)[]): string[] {
  const more = outcomes.length - mostShown;
  return [...outcomes.slice(0, mostShown).map(lineOf), ...(more > 0 ? [`and ${more} more`] : [])];
}

/** Each new label once: a slip of the pen makes one. */
function newLabelLines(outcomes: readonly ChangeOutcome[]): string[] {
  const lines = new Map<string, string>();
  for (const one of outcomes) {
    if (!('newLabel' in one) || one.newLabel !== true) continue;
    const meant = one.similarLabels?.join(' or ');
    lines.set(one.label, `new label: ${one.label}${meant === undefined ? '' : `; was ${meant} meant?`}`);
  }
  return [...lines.values()].slice(0, mostShown).map(printable);
}

function lineOf(one: ChangeOutcome | TaughtFile): string {
  const file = 'file' in one ? one.file : '';
  if (!('id' in one))
    return printable(`refused: ${file === '' ? '' : `${file}: `}${one.message} [${one.code}]`);
  return printable(`${one.outcome} ${one.id} (${one.label})${file === '' ? '' : ` ${file}`}`);
}

function ending(sequence: number, operations: readonly number[], where: string): string {
  if (operations.length === 0) return `Nothing changed: sequence ${sequence}`;
  const reverts = operations.map((one) => `nearvote index revert ${one}${where}`).join(', ');
  return printable(`Changed: sequence ${sequence}; ${reverts} takes it back`);
}
