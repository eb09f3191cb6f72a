import Table from 'cli-table3';
import { Command, InvalidArgumentError, Option } from 'commander';
import { calibrate, type CalibrateReport } from '../calibrate/calibrate.js';
import { calibrateTaught, type CalibrateTaughtOptions } from '../calibrate/calibrate-taught.js';
import { compactIndex } from '../build/compact.js';
import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { readPublished } from '../examples/index-store.js';
import { findEncoder } from '../pair.js';
import type { CalibrationFile } from '../examples/calibration-file.js';
import { calibrationPage } from '../calibrate/calibration-page.js';
import { calibrationWarnings, nothingUnknown } from '../calibrate/calibration-warnings.js';
import type { MeasuredConfidence } from '../evaluate/measure-confidence.js';
import { confidenceRows, percent } from '../evaluate/page/words.js';
import { renderPage } from '../report/render-page.js';
import { unknownRules, type UnknownRule } from '../vote/unknown.js';
import {
  imageLimitOptions,
  type ImageLimitOptions,
  inferenceOptions,
  type InferenceOptions,
  integerFrom,
  isSet,
  pairOptions,
  type PairOptions,
  settingsOf,
  splitOption,
  voteOptions,
  type VoteOptions,
} from './options.js';
import { checkWritable, createProgress, writeOutput } from './output.js';
import { print } from './printable.js';
import { rootOf, sayWhichVersion } from './which-index.js';

interface CalibrateFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly data?: string;
  /** Share of what the index was taught. */
  readonly taught?: number;
  readonly split: 'train' | 'test';
  readonly epsilon: number;
  readonly unknownRule: UnknownRule;
  readonly seed: number;
  readonly maxImages?: number;
  readonly report?: string;
  readonly force?: true;
  readonly json?: true;
}

export function calibrateCommand(): Command {
  const command = new Command('calibrate')
    .description('fit confidence and unknown rejection on labelled images that the index does not hold')
    .addHelpText(
      'after',
      '\nThe vote stays as it is: no label changes.\n\nExample:\n  $ nearvote calibrate --data calibration --index index/photos\n\nWithout other images, on what the index was taught and corrected:\n  $ nearvote calibrate --taught --index index/photos\n',
    )
    .action(calibrateIndex);
  for (const option of calibrateOptions()) command.addOption(option);
  return command;
}

function calibrateOptions(): Option[] {
  return [
    new Option(
      '--data <path>',
      'labelled images: a folder for each class, a .csv or .jsonl list, or the CIFAR binary files',
    )
      .env('NEARVOTE_CALIBRATE_DATA')
      .conflicts('taught'),
    new Option(
      '--taught [share]',
      'instead of other images, ask what the index was taught, each example with itself left out: all, or a share chosen by the digests of the images; changes are folded into a version first',
    )
      .argParser(parseTaught)
      .preset('1')
      .env('NEARVOTE_CALIBRATE_TAUGHT'),
    splitOption('--split <split>', 'which CIFAR files are read', 'test').env('NEARVOTE_CALIBRATE_SPLIT'),
    new Option('--epsilon <share>', 'share of known images that may be called unknown')
      .argParser(parseShare)
      .default(0.05)
      .env('NEARVOTE_EPSILON'),
    new Option(
      '--unknown-rule <rule>',
      'unknown by similarity to the k-th neighbour, or by the top share of the vote',
    )
      .choices(unknownRules)
      .default('similarity')
      .env('NEARVOTE_UNKNOWN_RULE'),
    new Option('--max-images <n>', 'most images, chosen by the seed')
      .argParser(integerFrom(1))
      .env('NEARVOTE_CALIBRATE_MAX_IMAGES'),
    new Option('--seed <n>', 'seed of every random choice')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_CALIBRATE_SEED'),
    new Option(
      '--report <file>',
      'also write the figures and reliability diagrams to this file, as an HTML page',
    ).env('NEARVOTE_CALIBRATE_REPORT'),
    new Option(
      '--force',
      'calibrate even where images of the data are in the index, or where fewer were taught than the calibration in use was fitted on',
    ).env('NEARVOTE_CALIBRATE_FORCE'),
    new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'),
    ...[...pairOptions(), ...inferenceOptions(), ...voteOptions(), ...imageLimitOptions()],
  ];
}

function parseShare(value: string): number {
  const share = Number(value);
  if (!(share > 0 && share < 1) || value.trim() === '') {
    throw new InvalidArgumentError('Expected a number between 0 and 1, neither included.');
  }
  return share;
}

async function calibrateIndex(flags: CalibrateFlags, command: Command): Promise<void> {
  if (flags.report !== undefined) await checkWritable(flags.report);
  const { data, taught } = flags;
  if (data === undefined && taught === undefined) {
    throw new NearvoteError(
      'usage',
      'Expected --data, or --taught to calibrate on what the index was taught',
    );
  }
  const choice = {
    vote: settingsOf(flags),
    clampK: !isSet(command, 'k'),
    force: flags.force === true,
    now: () => new Date(),
  };
  const progress = createProgress();
  const report =
    data === undefined
      ? await calibrateOnTaught(flags, { ...choice, share: taught ?? 1 }, progress)
      : await calibrate({ ...flags, ...choice, data, index: await sayWhichVersion(flags.index) }, progress);
  if (flags.report !== undefined) await writeOutput(flags.report, renderPage(calibrationPage(report)));
  print(flags.json ? JSON.stringify(report, briefly, 2) : renderCalibration(report));
}

type TaughtChoice = Pick<CalibrateTaughtOptions, 'vote' | 'clampK' | 'share' | 'now'>;

/** Folds the changes in first, so that the calibration is of all of them. */
async function calibrateOnTaught(
  flags: CalibrateFlags,
  choice: TaughtChoice,
  progress: Progress,
): Promise<CalibrateReport> {
  const root = await rootOf(flags.index);
  const threads = flags.workers * flags.threads;
  await compactIndex({ root, keep: versionsKept, threads, progress, now: choice.now });
  const { encoder } = await findEncoder(await readPublished(root), flags.models);
  const { name, sha256, digest } = encoderIdentity(encoder);
  return calibrateTaught({
    ...{ ...flags, ...choice, root, threads, encoder: { name, sha256, digest } },
    ...{ replace: flags.force === true, replaceBy: '--force' },
  });
}

/** As nearvote index compact does. */
const versionsKept = 3;

function parseTaught(value: string): number {
  const share = value.trim() === '' ? NaN : Number(value);
  if (!(share > 0 && share <= 1)) throw new InvalidArgumentError('Expected a number above 0, to 1.');
  return share;
}

const maps = {
  temperature: 'temperature scaling',
  isotonic: 'isotonic regression',
  logistic: 'logistic regression on the vote, its similarities and the margin to the next label',
} as const;

/** Thousands of numbers that are in the file. */
function briefly(key: string, value: unknown): unknown {
  return ['familiarities', 'fingerprints', 'directions'].includes(key) ? undefined : value;
}

const style = { head: [], border: [] };

/** What `nearvote calibrate` did, for people. */
export function renderCalibration(report: CalibrateReport): string {
  const { calibration, figures, rejected } = report;
  const { vote, images, dataset, index } = calibration;
  return [
    `${images} images of ${dataset} against index ${index.name} ${index.version}`,
    `${vote.rule} vote of k = ${vote.k} neighbours${vote.rule === 'softmax' ? `, T = ${vote.temperature}` : ''}, as it is served: no label changes`,
    ...confidenceLines(calibration.confidence.kind, figures),
    unknownLine(calibration),
    ...calibrationWarnings(report).map((warning) => `Warning: ${warning}`),
    ...(rejected.length > 0
      ? [`${rejected.length} images could not be decoded, the first: ${rejected[0]?.message ?? ''}`]
      : []),
    `written to ${report.file}; a running server takes it at its next reload`,
  ].join('\n');
}

function confidenceLines(
  kind: CalibrationFile['confidence']['kind'],
  { before, after }: CalibrateReport['figures'],
): string[] {
  // Where the share of the vote stays, there is nothing to set beside it.
  if (kind === 'share') {
    return [
      figuresTable([before], ['', 'share of the vote']),
      'confidence stays the share of the vote: by cross-validation nothing fitted does better; in brackets 95 % intervals',
      'reliability of the confidence',
      reliabilityTable([before]),
    ];
  }
  return [
    figuresTable([before, after], ['', 'before', 'after']),
    `confidence by ${maps[kind]}; after is cross-validated, in brackets 95 % intervals`,
    'reliability of the confidence, before and after',
    reliabilityTable([before, after]),
  ];
}

function figuresTable(columns: readonly MeasuredConfidence[], head: string[]): string {
  const table = new Table({ head, style });
  table.push(...confidenceRows(columns));
  return table.toString();
}

function reliabilityTable(columns: readonly MeasuredConfidence[]): string {
  const table = new Table({ head: ['confidence', ...columns.flatMap(() => ['images', 'right'])], style });
  const count = columns[0]?.bins.length ?? 0;
  for (let i = 0; i < count; i++) {
    const bins = columns.map(({ bins: all }) => all[i]);
    if (bins.every((bin) => (bin?.count ?? 0) === 0)) continue;
    const cells = bins.map((bin) =>
      bin === undefined || bin.count === 0 ? ['', ''] : [`${bin.count}`, percent(bin.accuracy)],
    );
    table.push([`${(i / count).toFixed(2)} to ${((i + 1) / count).toFixed(2)}`, ...cells.flat()]);
  }
  return table.toString();
}

function unknownLine(calibration: CalibrationFile): string {
  const { rule, epsilon, threshold, truePositiveRate } = calibration.unknown;
  if (threshold === null) return nothingUnknown(calibration) ?? '';
  const what = rule === 'similarity' ? 'the similarity to the k-th neighbour' : 'the top share of the vote';
  return `unknown where p < ${epsilon}: where ${what} is below ${threshold.toFixed(6)}, which keeps ${percent(truePositiveRate)} of these images`;
}
