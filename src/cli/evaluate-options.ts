import { Command, Option } from 'commander';
import {
  imageLimitOptions,
  inferenceOptions,
  integerFrom,
  pairOptions,
  voteOptions,
  type ImageLimitOptions,
  type InferenceOptions,
  type PairOptions,
  type VoteOptions,
} from './options.js';

export interface EvaluateFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly data: string;
  readonly split: 'train' | 'test';
  readonly ood?: string;
  readonly examples?: string;
  readonly examplesSplit: 'train' | 'test';
  readonly report?: string;
  readonly mapPoints: number;
  readonly seed: number;
  readonly predictions?: string;
  readonly json?: true;
}

/** t-SNE takes the square of it in time and memory. */
const mostMapPoints = 5_000;

/** `nearvote evaluate` and its options, without what it does. */
export function evaluateOptions(): Command {
  const command = new Command('evaluate')
    .description('measure an index on labelled images it does not hold')
    .addOption(
      new Option('--data <path>', 'folder per class, .csv or .jsonl list, or the CIFAR binary files')
        .env('NEARVOTE_EVALUATE_DATA')
        .makeOptionMandatory(),
    )
    .addOption(splitOption('--split <split>', 'of the CIFAR files', 'test').env('NEARVOTE_EVALUATE_SPLIT'))
    .addOption(
      new Option('--ood <path>', 'images of no label of the index: how well they are told from the data').env(
        'NEARVOTE_EVALUATE_OOD',
      ),
    )
    .addOption(
      new Option('--report <file>', 'also write the report as one HTML page').env('NEARVOTE_EVALUATE_REPORT'),
    )
    .addOption(
      new Option('--examples <path>', 'the dataset the index was built from, to show its pictures').env(
        'NEARVOTE_EVALUATE_EXAMPLES',
      ),
    )
    .addOption(
      splitOption('--examples-split <split>', 'of its CIFAR files', 'train').env(
        'NEARVOTE_EVALUATE_EXAMPLES_SPLIT',
      ),
    )
    .addOption(
      new Option('--map-points <n>', `images on the map of the page, at most ${mostMapPoints}`)
        .argParser(integerFrom(1, mostMapPoints))
        .default(2_000)
        .env('NEARVOTE_EVALUATE_MAP_POINTS'),
    )
    .addOption(
      new Option('--seed <n>', 'of intervals, clusters and the map')
        .argParser(integerFrom(0))
        .default(0)
        .env('NEARVOTE_EVALUATE_SEED'),
    )
    .addOption(
      new Option('--predictions <file>', 'also write a JSON line an image: id, label, predicted').env(
        'NEARVOTE_PREDICTIONS',
      ),
    )
    .addOption(new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'))
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote evaluate --data photos/validation --index index/photos --examples photos/train --report report.html\n',
    );
  for (const option of [...pairOptions(), ...inferenceOptions(), ...voteOptions(), ...imageLimitOptions()]) {
    command.addOption(option);
  }
  return command;
}

function splitOption(flags: string, description: string, split: 'train' | 'test'): Option {
  return new Option(flags, description).choices(['train', 'test']).default(split);
}
