import { Command, Option } from 'commander';
import { mostMapPoints, splitOption } from './evaluate-options.js';
import { imageLimitOptions, inferenceOptions, integerFrom, voteOptions } from './options.js';
import type { ImageLimitOptions, InferenceOptions, VoteOptions } from './options.js';

export interface CompareFlags extends InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly data: string;
  readonly split: 'train' | 'test';
  readonly examples?: string;
  readonly examplesSplit: 'train' | 'test';
  readonly models: string;
  readonly report?: string;
  readonly mapPoints: number;
  readonly seed: number;
  readonly json?: true;
}

/** `nearvote compare` and its options, without what it does. */
export function compareOptions(): Command {
  const command = new Command('compare')
    .description('measure two indexes, or two encoders, on the same labelled images')
    .argument('<a>', 'an index, or an encoder')
    .argument('<b>', 'another of the same kind')
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote compare models/supcon models/cross-entropy --examples photos/train --data photos/validation --report report.html\n',
    );
  for (const option of [
    new Option('--data <path>', 'folder per class, .csv or .jsonl list, or the CIFAR binary files')
      .env('NEARVOTE_COMPARE_DATA')
      .makeOptionMandatory(),
    splitOption('--split <split>', 'of the CIFAR files', 'test').env('NEARVOTE_COMPARE_SPLIT'),
    new Option('--examples <path>', 'labelled images that two encoders look the data up among').env(
      'NEARVOTE_COMPARE_EXAMPLES',
    ),
    splitOption('--examples-split <split>', 'of its CIFAR files', 'train').env(
      'NEARVOTE_COMPARE_EXAMPLES_SPLIT',
    ),
    new Option('--models <dir>', 'folder of the encoders of two indexes')
      .default('models')
      .env('NEARVOTE_MODELS'),
    new Option('--report <file>', 'also write the report as one HTML page').env('NEARVOTE_COMPARE_REPORT'),
    new Option('--map-points <n>', `images on the maps of the page, at most ${mostMapPoints}`)
      .argParser(integerFrom(1, mostMapPoints))
      .default(2_000)
      .env('NEARVOTE_COMPARE_MAP_POINTS'),
    new Option('--seed <n>', 'of intervals and maps')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_COMPARE_SEED'),
    new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'),
    ...[...inferenceOptions(), ...voteOptions(), ...imageLimitOptions()],
  ]) {
    command.addOption(option);
  }
  return command;
}
