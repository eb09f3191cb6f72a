import { Option } from 'commander';
import { buildPart, mergeParts, type BuildInPartsOptions } from '../build/build-in-parts.js';
import type { BuildReport } from '../build/build-report.js';
import type { ShardReport } from '../build/shard.js';
import { NearvoteError } from '../domain/errors.js';
import type { BuildOptions } from '../build/build.js';
import { counted } from '../evaluate/page/words.js';
import { integerFrom } from './options.js';
import { createProgress } from './output.js';
import { print } from './printable.js';

export interface PartFlags {
  readonly shards?: number;
  readonly shard?: number;
  readonly merge?: true;
  readonly shardDir?: string;
}

export function partOptions(): Option[] {
  return [
    new Option('--shards <n>', 'number of parts that the images are divided into; with --shard or --merge')
      .argParser(integerFrom(1))
      .env('NEARVOTE_BUILD_SHARDS'),
    new Option('--shard <i>', 'embed one of the parts, from 0, and publish nothing')
      .argParser(integerFrom(0))
      .env('NEARVOTE_BUILD_SHARD')
      .conflicts(['merge', 'sync']),
    new Option('--merge', 'publish the index of all parts, once they are done')
      .env('NEARVOTE_BUILD_MERGE')
      .conflicts(['sync']),
    new Option('--shard-dir <dir>', 'where the parts are; in the folder of the index unless given').env(
      'NEARVOTE_BUILD_SHARD_DIR',
    ),
  ];
}

/** Whether what was asked for is done in parts. @throws NearvoteError `usage` for a part of what is not divided */
export function isInParts({ shards, shard, merge, shardDir }: PartFlags): boolean {
  if (shards === undefined) {
    const [given] = [
      ...(shard === undefined ? [] : ['--shard']),
      ...(merge === undefined ? [] : ['--merge']),
      ...(shardDir === undefined ? [] : ['--shard-dir']),
    ];
    if (given === undefined) return false;
    throw new NearvoteError('usage', `Expected --shards N with ${given}: the number of all parts`);
  }
  if (shard === undefined && merge === undefined) {
    throw new NearvoteError('usage', 'Expected --shard I or --merge with --shards');
  }
  if (shard !== undefined && shard >= shards) {
    throw new NearvoteError('usage', `Expected --shard to be at most ${shards - 1} but received ${shard}`);
  }
  return true;
}

interface InParts {
  readonly flags: PartFlags;
  readonly options: BuildOptions;
  readonly json: boolean;
  readonly summaryOf: (report: BuildReport) => string;
}

/** Embeds the part that is asked for, or publishes all of them. */
export async function buildInPartsAndPrint({ flags, options, json, summaryOf }: InParts): Promise<void> {
  const { shards = 1, shard, shardDir } = flags;
  const asked: BuildInPartsOptions = { ...options, shards, shardDir };
  const progress = createProgress();
  try {
    if (shard === undefined) {
      const report = await mergeParts(asked, progress);
      print(json ? JSON.stringify(report) : summaryOf(report));
    } else {
      const report = await buildPart({ ...asked, shard }, progress);
      print(json ? JSON.stringify(report) : partSummary(report));
    }
  } finally {
    progress.finish();
  }
}

function partSummary({ folder, done, skipped }: ShardReport): string {
  const { shard, shards, images, rejected } = done;
  const what = `${counted(images, 'image')} embedded, ${rejected} rejected`;
  return skipped
    ? `Part ${shard} of ${shards} was done: ${what}, in ${folder}`
    : `Part ${shard} of ${shards} is done: ${what}, in ${folder}. Once all are, --merge in place of --shard publishes the index`;
}
