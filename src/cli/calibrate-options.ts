import { InvalidArgumentError, Option } from 'commander';
import { unknownRules, type UnknownRule } from '../vote/unknown.js';
import { imageLimitOptions, inferenceOptions, integerFrom, pairOptions, voteOptions } from './options.js';
import type { ImageLimitOptions, InferenceOptions, PairOptions, VoteOptions } from './options.js';

export interface CalibrateFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly data: string;
  readonly split: 'train' | 'test';
  /** In (0, 1). */
  readonly epsilon: number;
  readonly unknownRule: UnknownRule;
  readonly seed: number;
  readonly maxImages?: number;
  readonly report?: string;
  readonly force?: true;
  readonly json?: true;
}

/** The options of `nearvote calibrate`, each also an environment variable. */
export function calibrateOptions(): Option[] {
  return [
    new Option('--data <path>', 'folder per class, .csv or .jsonl list, or the CIFAR binary files')
      .env('NEARVOTE_CALIBRATE_DATA')
      .makeOptionMandatory(),
    new Option('--split <split>', 'of the CIFAR files')
      .choices(['train', 'test'])
      .default('test')
      .env('NEARVOTE_CALIBRATE_SPLIT'),
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
    new Option('--seed <n>', 'of what is left to chance')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_CALIBRATE_SEED'),
    new Option('--report <file>', 'also write the figures and reliability diagrams as an HTML page').env(
      'NEARVOTE_CALIBRATE_REPORT',
    ),
    new Option('--force', 'even where the data overlaps the index').env('NEARVOTE_CALIBRATE_FORCE'),
    new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'),
    ...pairOptions(),
    ...inferenceOptions(),
    ...voteOptions(),
    ...imageLimitOptions(),
  ];
}

function parseShare(value: string): number {
  const share = Number(value);
  if (!(share > 0 && share < 1) || value.trim() === '') {
    throw new InvalidArgumentError('Expected a number between 0 and 1, neither included.');
  }
  return share;
}
