import { join } from 'node:path';
import type { Progress } from '../domain/progress.js';
import { withEncoder } from '../embed/embed-dataset.js';
import { createDecoder } from '../image/decode.js';
import { openBuildInputs, type BuildOptions } from './build.js';
import type { BuildReport } from './build-report.js';
import { mergeShards } from './merge-shards.js';
import { embedShard, type ShardReport } from './shard.js';

export interface BuildInPartsOptions extends BuildOptions {
  readonly shards: number;
  /** Where the parts are, or are to be; in the folder of the index unless told. */
  readonly shardDir?: string | undefined;
}

/**
 * Embeds one part of the images, of `shards` from 0, in any order and on any machine that sees the folder of the parts.
 * @throws NearvoteError `dataset_*`, `encoder_*`, `worker_failed`, `output_unwritable`
 */
export async function buildPart(
  options: BuildInPartsOptions & { readonly shard: number },
  progress: Progress,
): Promise<ShardReport> {
  const inputs = await openBuildInputs(options);
  const { dataset, encoder } = inputs;
  const { shard, shards, maxPixels, maxDecodeBytes } = options;
  return embedShard({
    ...{ dataset, encoder, shard, shards, progress, dir: partsOf(options) },
    decoder: createDecoder({ geometry: encoder.input.geometry, maxPixels, maxDecodeBytes }),
    withPool: (work) =>
      withEncoder({ ...options, ...inputs, progress }, ({ pool, inFlight, wasTrainedOn }) =>
        work({ pool, inFlight, trainedOn: wasTrainedOn(dataset) }),
      ),
  });
}

/**
 * Publishes the index of all parts.
 * @throws NearvoteError `dataset_invalid` where parts are missing, damaged or of something else, and as `build`
 */
export async function mergeParts(options: BuildInPartsOptions, progress: Progress): Promise<BuildReport> {
  const inputs = await openBuildInputs(options);
  return mergeShards({ ...options, ...inputs, shardDir: partsOf(options), progress });
}

function partsOf({ out, shardDir }: BuildInPartsOptions): string {
  return shardDir ?? join(out, '.shards');
}
