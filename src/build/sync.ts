import { availableParallelism } from 'node:os';
import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import { withEncoder } from '../embed/embed-dataset.js';
import { readPublished } from '../examples/index-store.js';
import { createDecoder } from '../image/decode.js';
import { build, openBuildInputs, type BuildOptions } from './build.js';
import type { BuildReport } from './build-report.js';
import { syncIndex, type SyncIndexOptions } from './sync-index.js';
import type { SyncReport } from './sync-report.js';

export interface SyncOptions
  extends
    BuildOptions,
    Pick<SyncIndexOptions, 'dryRun' | 'keepTaught' | 'allowDeleteAll' | 'reason' | 'who' | 'onPlan'> {}

/** Where there was no index, it was built. */
export type SyncOutcome =
  | { readonly kind: 'built'; readonly report: BuildReport }
  | { readonly kind: 'synced'; readonly report: SyncReport };

/**
 * Makes an index equal to a dataset by changes, or builds it where there is none yet.
 * @throws NearvoteError as `syncIndex` and `build`
 */
export async function sync(options: SyncOptions, progress: Progress): Promise<SyncOutcome> {
  const inputs = await openBuildInputs(options);
  const { encoder, dataset } = inputs;
  const { out: root, dryRun, maxPixels, maxDecodeBytes } = options;
  if (!dryRun && (await isMissing(root))) {
    return { kind: 'built', report: await build(options, progress, inputs) };
  }
  const report = await syncIndex({
    ...options,
    ...{ root, dataset, encoder, progress, threads: availableParallelism() },
    decoder: createDecoder({ geometry: encoder.input.geometry, maxPixels, maxDecodeBytes }),
    withPool: (work) => withEncoder({ ...options, ...inputs, progress }, work),
  });
  return { kind: 'synced', report };
}

async function isMissing(root: string): Promise<boolean> {
  try {
    await readPublished(root);
    return false;
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'index_missing') return true;
    throw error;
  }
}
