import { NearvoteError } from '../domain/errors.js';
import { encoderIdentity } from '../encoder/manifest.js';
import type { BuildReport } from './build-report.js';
import { publishIndex, type PublishIndexOptions } from './build-index.js';
import type { InsertableImage } from './insert-images.js';
import { listPart } from './shard.js';
import { readDone, readShard, shardFolder, type ShardDone } from './shard-files.js';

export interface MergeShardsOptions extends PublishIndexOptions {
  readonly shards: number;
  /** Where the parts are; each has a folder there. */
  readonly shardDir: string;
}

/**
 * Publishes the index of a dataset whose parts are all done, as a build of it in one process would: the same rows in the
 * same order, byte for byte.
 * @throws NearvoteError `dataset_invalid` naming the parts that are missing, damaged, or of other images or of another
 * encoder, and as `buildIndex`
 */
export async function mergeShards(options: MergeShardsOptions): Promise<BuildReport> {
  const { dataset, encoder, shards, shardDir } = options;
  const { sha256: listing } = await listPart(dataset, { shard: 0, shards });
  const { digest } = encoderIdentity(encoder);
  const missing: number[] = [];
  const parts: { readonly folder: string; readonly done: ShardDone }[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const folder = shardFolder(shardDir, { shard, shards });
    const done = await readDone(folder);
    if (done === undefined) missing.push(shard);
    else if (done.listing !== listing || done.shard !== shard || done.shards !== shards) {
      throw mismatch(
        folder,
        'is of other images: the dataset was changed, or is another one; --shard I in place of --merge makes each part anew',
      );
    } else if (done.encoder !== digest) {
      throw mismatch(folder, `was embedded by another encoder than ${encoder.name} ${encoder.version}`);
    } else parts.push({ folder, done });
  }
  if (missing.length > 0) {
    const named = missing.slice(0, 10).join(', ') + (missing.length > 10 ? ', ...' : '');
    throw new NearvoteError(
      'dataset_invalid',
      `Expected all ${shards} parts in ${shardDir} but ${counted(missing.length)} missing: ${named}; --shard I in place of --merge makes each`,
    );
  }
  return publishIndex(options, (take) => take(imagesOf(parts)));
}

async function* imagesOf(
  parts: readonly { readonly folder: string; readonly done: ShardDone }[],
): AsyncGenerator<InsertableImage> {
  for (const { folder, done } of parts) yield* readShard(folder, done);
}

const counted = (parts: number): string => (parts === 1 ? '1 part is' : `${parts} parts are`);

function mismatch(folder: string, why: string): NearvoteError {
  return new NearvoteError(
    'dataset_invalid',
    `Expected ${folder} to be a part of this build but it ${why}; remove that folder and build the part again`,
  );
}
