import { Option } from 'commander';
import { imageLimitOptions, inferenceOptions, integerFrom, pairOptions, voteOptions } from './options.js';
import type { ImageLimitOptions, InferenceOptions, PairOptions, VoteOptions } from './options.js';

export interface AuditFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly test?: string;
  readonly split: 'train' | 'test';
  readonly examples?: string;
  readonly examplesSplit: 'train' | 'test';
  readonly out?: string;
  readonly report?: string;
  readonly seed: number;
  readonly json?: true;
}

/** Audits search exactly: `--search` is not among them. */
export function auditOptions(): Option[] {
  return [
    ...pairOptions().filter(({ long }) => long !== '--search'),
    new Option(
      '--test <path>',
      'labelled images that the index must not hold: folder, list or CIFAR files',
    ).env('NEARVOTE_AUDIT_TEST'),
    new Option('--split <split>', 'of the CIFAR files of --test')
      .choices(['train', 'test'])
      .default('test')
      .env('NEARVOTE_AUDIT_SPLIT'),
    new Option(
      '--examples <path>',
      'the images the index was built of: confirms duplicates by their pixels and shows them in the report',
    ).env('NEARVOTE_AUDIT_EXAMPLES'),
    new Option('--examples-split <split>', 'of the CIFAR files of --examples')
      .choices(['train', 'test'])
      .default('train')
      .env('NEARVOTE_AUDIT_EXAMPLES_SPLIT'),
    new Option('--out <file>', 'write a JSON line a finding').env('NEARVOTE_AUDIT_OUT'),
    new Option('--report <file>', 'write an HTML page').env('NEARVOTE_AUDIT_REPORT'),
    new Option('--seed <n>', 'of the examples that condensing starts from')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_AUDIT_SEED'),
    new Option('--json', 'print a summary as JSON').env('NEARVOTE_JSON'),
    ...voteOptions(),
    ...inferenceOptions(),
    ...imageLimitOptions(),
  ];
}
