import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../domain/duration.js';
import type { VoteChoice } from '../examples/calibration-file.js';
import type { VoteSettings } from '../vote/calibration.js';
import { defaultVote, type VoteRule, voteRules } from '../vote/rules.js';

/** Parses a whole number from `least`, and to `most` where that is given, for commander. */
export function integerFrom(least: number, most = Infinity): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!Number.isSafeInteger(number) || number < least || number > most || value.trim() === '') {
      const end = most === Infinity ? '' : ` to ${most}`;
      throw new InvalidArgumentError(`Expected a whole number from ${least}${end}.`);
    }
    return number;
  };
}

/** Parses a number above `bound`, for commander. */
export function numberAbove(bound: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!Number.isFinite(number) || number <= bound || value.trim() === '') {
      throw new InvalidArgumentError(`Expected a number above ${bound}.`);
    }
    return number;
  };
}

/** Parses a number from `least` to `most`, for commander. */
export function numberFrom(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!(number >= least && number <= most) || value.trim() === '') {
      throw new InvalidArgumentError(`Expected a number from ${least} to ${most}.`);
    }
    return number;
  };
}

/** Parses names between commas, for commander. */
function parseList(value: string): string[] {
  const names = value.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('Expected names separated by commas.');
  return names;
}

/** Parses yes or no, for commander: a variable that is set to false has to mean no. */
export function parseBoolean(value: string): boolean {
  if (/^(true|1|yes|on)$/i.test(value)) return true;
  if (/^(false|0|no|off)$/i.test(value)) return false;
  throw new InvalidArgumentError('Expected true or false.');
}

export interface PairOptions {
  /** Absent, it is what `whichIndex` finds. */
  readonly index?: string;
  readonly models: string;
  readonly search: 'auto' | 'exact';
}

export function jsonOption(what = 'print it as JSON'): Option {
  return new Option('--json', what).env('NEARVOTE_JSON');
}

/** `--index` where one can be named. */
export function indexOption(): Option {
  return new Option(
    '--index <dir>',
    'folder of the index (default: the only one of your own in ./index; the shipped index/cifar10 where you have none)',
  ).env('NEARVOTE_INDEX');
}

/** Which index, and where its encoder is looked for. */
export function pairOptions(index: Option = indexOption()): Option[] {
  return [
    index,
    new Option('--models <dir>', 'folder in which the encoder is looked for by its name')
      .default('models')
      .env('NEARVOTE_MODELS'),
    new Option('--search <kind>', 'auto uses the HNSW graph where there is one, exact never does')
      .choices(['auto', 'exact'])
      .default('auto')
      .env('NEARVOTE_SEARCH'),
  ];
}

export interface InferenceOptions {
  readonly workers: number;
  readonly threads: number;
  readonly maxBatch?: number;
  readonly providers: readonly string[];
}

/** One single-threaded worker a core: the split that embeds fastest, docs/decisions/003. */
export function inferenceOptions(): Option[] {
  return [
    new Option('--workers <n>', 'processes that encode images')
      .argParser(integerFrom(1, 256))
      .default(availableParallelism(), 'one a core')
      .env('NEARVOTE_WORKERS'),
    new Option('--threads <n>', 'threads of each worker')
      .argParser(integerFrom(1, 256))
      .default(1)
      .env('NEARVOTE_THREADS'),
    new Option(
      '--max-batch <n>',
      'most images that a worker encodes at once (default: 16, or what takes 250 ms where that is fewer)',
    )
      .argParser(integerFrom(1, 1024))
      .env('NEARVOTE_MAX_BATCH'),
    new Option(
      '--providers <list>',
      'execution providers of ONNX Runtime, with commas between, the preferred one first',
    )
      .argParser(parseList)
      .default(['cpu'], 'cpu')
      .env('NEARVOTE_PROVIDERS'),
  ];
}

export interface VoteOptions {
  readonly k: number;
  readonly vote: VoteRule;
  readonly temperature: number;
  readonly priorCorrection: boolean;
}

export function voteOptions(): Option[] {
  return [
    new Option('-k, --k <n>', 'number of neighbours that vote, at most the size of the index')
      .argParser(integerFrom(1))
      .default(defaultVote.k)
      .env('NEARVOTE_K'),
    new Option('--vote <rule>', 'how the neighbours vote')
      .choices(voteRules)
      .default(defaultVote.rule)
      .env('NEARVOTE_VOTE'),
    new Option('--temperature <t>', 'T of the softmax vote')
      .argParser(numberAbove(0))
      .default(defaultVote.temperature)
      .env('NEARVOTE_TEMPERATURE'),
    new Option('--prior-correction [boolean]', "divide a label's weight by its share of the index")
      .argParser(parseBoolean)
      .preset('true')
      .default(false)
      .env('NEARVOTE_PRIOR_CORRECTION'),
  ];
}

export interface ImageLimitOptions {
  readonly maxImageBytes: number;
  readonly maxPixels: number;
  readonly maxDecodeBytes: number;
}

export function imageLimitOptions(): Option[] {
  return [
    new Option('--max-image-bytes <n>', 'largest image, in bytes')
      .argParser(integerFrom(1))
      .default(10_000_000)
      .env('NEARVOTE_MAX_IMAGE_BYTES'),
    new Option('--max-pixels <n>', 'largest image, in pixels')
      .argParser(integerFrom(1))
      .default(50_000_000)
      .env('NEARVOTE_MAX_PIXELS'),
    new Option(
      '--max-decode-bytes <n>',
      'most memory that decoding one image may take, in bytes; its header tells',
    )
      .argParser(integerFrom(1))
      .default(300_000_000)
      .env('NEARVOTE_MAX_DECODE_BYTES'),
  ];
}

/** Which files of a CIFAR dataset. */
export function splitOption(flags: string, description: string, split: 'train' | 'test'): Option {
  return new Option(flags, description).choices(['train', 'test']).default(split);
}

/** t-SNE takes the square of it in time and memory. */
const mostMapPoints = 5_000;

export function mapPointsOption(what: string): Option {
  return new Option('--map-points <n>', `${what}, at most ${mostMapPoints}`)
    .argParser(integerFrom(1, mostMapPoints))
    .default(2_000);
}

const flagNames = ['k', 'vote', 'temperature', 'priorCorrection'] as const;

export function voteChoice(flags: VoteOptions, command: Command): VoteChoice {
  return {
    settings: settingsOf(flags),
    isExplicit: flagNames.some((name) => isSet(command, name)),
  };
}

export function settingsOf({ k, vote, temperature, priorCorrection }: VoteOptions): VoteSettings {
  return { rule: vote, temperature, k, priorCorrection };
}

/** Whether an option was given, on the command line or in the environment. */
export function isSet(command: Command, name: (typeof flagNames)[number] | 'neighbours'): boolean {
  return !['default', undefined].includes(command.getOptionValueSource(name));
}

/** Parses a duration of at least `leastMs` into milliseconds, for commander. */
export function durationFrom(leastMs: number): (value: string) => number {
  return (value) => {
    const ms = parseDuration(value);
    if (ms === undefined || ms < leastMs) {
      const least = leastMs === 0 ? '' : ` of at least ${leastMs}ms`;
      throw new InvalidArgumentError(`Expected a duration${least} such as 500ms, 10s or 2m, to 24d.`);
    }
    return ms;
  };
}
