import { Command, Option } from 'commander';
import type { Answer, Answering } from '../batch/answers.js';
import { classifyToCsv, type BatchResult } from '../batch/classify-to-csv.js';
import { openLocalAnswers } from '../batch/local-answers.js';
import { openServerAnswers } from '../batch/server-answers.js';
import { NearvoteError } from '../domain/errors.js';
import { counted } from '../evaluate/page/words.js';
import { countImages, walkImages } from '../image/dataset/walk-images.js';
import { decisionTable } from './decision-table.js';
import {
  imageLimitOptions,
  type ImageLimitOptions,
  inferenceOptions,
  type InferenceOptions,
  integerFrom,
  isSet,
  pairOptions,
  type PairOptions,
  voteChoice,
  voteOptions,
  type VoteOptions,
} from './options.js';
import { createProgress } from './output.js';
import { print, printable, printError } from './printable.js';
import { watchSignals } from './stop-signals.js';
import { sayWhichIndex } from './which-index.js';

interface ClassifyFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly neighbours: number;
  readonly csv?: string;
  readonly overwrite?: true;
  readonly server?: string;
  readonly json?: true;
}

const help = `
A CSV has the columns path, label, confidence, p_value, outcome, nearest_ids, index_version and error, and a row for each file
in the order of the folders. A run that was ended, however it was, goes on where it was with the same command; a file
that has a row is not classified again.

With --server, --index is the name of one of its indexes, and NEARVOTE_API_KEY holds one of the server's API keys where it has any.

Examples:
  $ nearvote classify photo.jpg --index index/cifar10 --json
  $ nearvote classify photos --csv photos.csv
  $ nearvote classify photos --csv photos.csv --server http://127.0.0.1:8080
`;

export function classifyCommand(): Command {
  const command = new Command('classify')
    .description('classify image files and print the decisions, or write them to a CSV')
    .argument('<file...>', 'JPEG, PNG, WebP, GIF, AVIF or TIFF images, or folders of them')
    .addHelpText('after', help)
    .action(classify);
  const options = [
    new Option('--csv <file>', 'write a row for each file to this CSV; --json then prints its figures').env(
      'NEARVOTE_CLASSIFY_CSV',
    ),
    new Option('--overwrite', 'begin the CSV anew where it is there already').env(
      'NEARVOTE_CLASSIFY_OVERWRITE',
    ),
    new Option('--server <url>', 'ask a server that runs, with its index and encoder').env(
      'NEARVOTE_CLASSIFY_SERVER',
    ),
    new Option('--neighbours <n>', 'neighbours to show')
      .argParser(integerFrom(0))
      .default(5)
      .env('NEARVOTE_NEIGHBOURS'),
    new Option('--json', 'print a JSON line a file').env('NEARVOTE_JSON'),
    ...pairOptions(),
    ...inferenceOptions(),
    ...voteOptions(),
    ...imageLimitOptions(),
  ];
  for (const option of options) command.addOption(option);
  return command;
}

async function classify(paths: readonly string[], flags: ClassifyFlags, command: Command): Promise<void> {
  if (flags.csv === undefined && flags.overwrite === true) {
    throw new NearvoteError('usage', 'Expected --csv with --overwrite, which begins a CSV anew');
  }
  const stop = watchSignals('stopping; what is written stays, and once more stops at once');
  const open = (files: number): Promise<Answering> =>
    openAnswers({ files, flags, command, signal: stop.signal });
  try {
    if (flags.csv === undefined) await classifyAndPrint({ paths, flags, open, signal: stop.signal });
    else await classifyIntoCsv({ paths, flags, open, signal: stop.signal, csv: flags.csv });
  } finally {
    stop.unwatch();
  }
}

interface Opening {
  /** How many there are to classify, at least. */
  readonly files: number;
  readonly flags: ClassifyFlags;
  readonly command: Command;
  readonly signal: AbortSignal;
}

async function openAnswers({ files, flags, command, signal }: Opening): Promise<Answering> {
  if (flags.server === undefined) {
    return openLocalAnswers({
      ...flags,
      index: await sayWhichIndex(flags.index),
      workers: Math.max(1, Math.min(flags.workers, files)),
      vote: voteChoice(flags, command),
      note,
    });
  }
  const told = ownOfServer.find((name) => command.getOptionValueSource(name) === 'cli');
  if (told !== undefined) {
    const { long = told } = command.options.find((option) => option.attributeName() === told) ?? {};
    throw new NearvoteError('usage', `Expected no ${long} with --server, for it is the server's`);
  }
  return openServerAnswers({
    url: flags.server,
    // A variable may name a folder of this machine.
    index: command.getOptionValueSource('index') === 'cli' ? flags.index : undefined,
    key: process.env.NEARVOTE_API_KEY?.trim() || undefined,
    k: isSet(command, 'k') ? flags.k : undefined,
    vote: isSet(command, 'vote') ? flags.vote : undefined,
    neighbours: isSet(command, 'neighbours') ? flags.neighbours : undefined,
    maxImageBytes: flags.maxImageBytes,
    signal,
  });
}

/** What a server was started with: set here, it would change nothing. */
const ownOfServer = [
  ...['models', 'search', 'workers', 'threads', 'maxBatch', 'providers'],
  ...['temperature', 'priorCorrection', 'maxPixels', 'maxDecodeBytes'],
];

interface ClassifyOptions {
  readonly paths: readonly string[];
  readonly flags: ClassifyFlags;
  readonly open: (files: number) => Promise<Answering>;
  readonly signal: AbortSignal;
}

async function classifyIntoCsv({
  flags,
  csv,
  ...options
}: ClassifyOptions & { readonly csv: string }): Promise<void> {
  const progress = createProgress();
  let result: BatchResult;
  try {
    const overwrite = flags.overwrite === true;
    result = await classifyToCsv({ ...options, csv, overwrite, note }, progress);
  } finally {
    progress.finish();
  }
  print(flags.json === true ? JSON.stringify(result) : summaryOf(result));
  if (result.stopped) {
    printError(printable(`nearvote: stopped; the same command goes on with ${csv}`));
    process.exitCode = 1;
  } else if (result.failed > 0) {
    throw new NearvoteError(
      'images_failed',
      `${result.failed} of ${counted(result.rows, 'file')} in ${csv} could not be classified: its column error says why`,
    );
  }
}

function summaryOf({ csv, rows, added, seconds }: BatchResult): string {
  if (added === 0) return printable(`${csv} has ${counted(rows, 'row')}; nothing is left to do`);
  const rate = `${(added / seconds).toPrecision(3)} images/s`;
  const before = rows === added ? '' : `, ${added} of them new`;
  return printable(`${csv} has ${counted(rows, 'row')}${before}; ${seconds.toFixed(1)} s, ${rate}`);
}

async function classifyAndPrint({ paths, flags, open, signal }: ClassifyOptions): Promise<void> {
  const { workers, json } = flags;
  const files = await countImages(paths, { most: workers });
  if (files === 0) {
    throw new NearvoteError('image_missing', `Expected images in ${paths[0] ?? ''} but there are none`);
  }
  const answering = await open(files);
  // A table is set when its last row is known; lines are printed as they come.
  const rows: Answer[] = [];
  let total = 0;
  let failed = 0;
  let first: Extract<Answer, { readonly error: unknown }> | undefined;
  try {
    for await (const answer of answering.answer(walkImages(paths), signal)) {
      total++;
      if (json) print(JSON.stringify(answer));
      else rows.push(answer);
      if (!('error' in answer)) continue;
      failed++;
      first ??= answer;
    }
  } finally {
    await answering.close();
  }
  if (!json) print(decisionTable(rows, process.stdout.isTTY ? process.stdout.columns : 0));
  if (signal.aborted) process.exitCode = 1;
  if (first === undefined) return;
  throw new NearvoteError(
    first.error.code,
    `${failed} of ${total} images could not be classified, the first: ${first.file}: ${first.error.message}`,
  );
}

function note(text: string): void {
  printError(printable(`nearvote: ${text}`));
}
