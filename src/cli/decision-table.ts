import { dirname, relative, sep } from 'node:path';
import Table from 'cli-table3';
import type { Answer, AnsweredDecision } from '../batch/answers.js';
import { printable } from './printable.js';

/** Where nobody tells how wide the terminal is, and at least. */
const usualWidth = 80;
/** Of three columns: the lines between them and a space on each side of a cell. */
const frameWidth = 10;

/** Decisions for people; `columns` of the terminal, 0 where there is none. Files are named from the folder they share. */
export function decisionTable(outcomes: readonly Answer[], columns: number): string {
  const width = Math.max(usualWidth, columns) - frameWidth;
  const most = { file: Math.floor(width * 0.33), neighbours: Math.floor(width * 0.4) };
  const table = new Table({
    head: ['file', 'answer', 'nearest neighbours'],
    style: { head: [], border: [] },
    wordWrap: true,
    wrapOnWordBoundary: false,
    colWidths: [most.file + 2, width - most.file - most.neighbours + 2, most.neighbours + 2],
  });
  const shared = sharedFolder(outcomes.map(({ file }) => file));
  for (const outcome of outcomes) {
    const file = printable(shared === '' ? outcome.file : relative(shared, outcome.file));
    if ('error' in outcome) {
      table.push([file, { content: printable(outcome.error.message), colSpan: 2 }]);
      continue;
    }
    table.push([
      file,
      answerLines(outcome.decision).map(printable).join('\n'),
      outcome.decision.neighbours
        .map(({ id, label, similarity, source = id }) => {
          const said = printable(`${label} ${similarity.toFixed(3)} `);
          return said + endOf(printable(source), Math.max(8, most.neighbours - said.length));
        })
        .join('\n'),
    ]);
  }
  return table.toString();
}

/** Confidence is of the label alone; a share of the vote stands beside the label that is second. */
function answerLines({ label, outcome, confidence, pValue, scores }: AnsweredDecision): string[] {
  const [, second] = scores;
  return [
    ...(outcome === 'unknown' ? ['unknown'] : []),
    label,
    `confidence ${confidence.toFixed(3)}`,
    ...(pValue === undefined ? [] : [`p-value ${pValue.toFixed(3)}`]),
    ...(second === undefined ? [] : [`${second.label}: ${second.score.toFixed(3)} of vote`]),
  ];
}

/** The deepest folder that all of them lie in, as a relative or absolute path; nothing where that is the current one. */
function sharedFolder(files: readonly string[]): string {
  const [first = [], ...others] = files.map((file) => dirname(file).split(sep));
  const common = [...first];
  for (const parts of others) {
    const differs = common.findIndex((part, i) => part !== parts[i]);
    if (differs >= 0) common.length = differs;
  }
  return common.join(sep);
}

/** The end of a path that is too long: files of one folder differ there. */
function endOf(path: string, most: number): string {
  const characters = Array.from(path);
  return characters.length <= most ? path : `…${characters.slice(1 - most).join('')}`;
}
