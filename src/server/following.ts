import type { Logger } from 'pino';
import { readIndexManifest, readCurrent } from '../examples/index-store.js';
import { join } from 'node:path';
import type { ServedIndex } from './serving.js';

export interface FollowingOptions {
  readonly served: ServedIndex;
  /** The folder of its index; where it lies in PostgreSQL there is none, and others may always change it. */
  readonly root: string | undefined;
  readonly logger: Pick<Logger, 'warn'>;
  /** A second unless told. */
  readonly everyMs?: number | undefined;
}

/** Keeps an index that another process changes as that process has it. */
export interface Following {
  /** Seconds since it was last seen to be so; 0 where this server changes it itself. */
  readonly staleSeconds: number;
  stop(): void;
}

const longestPauseMs = 60_000;

/**
 * Takes over the changes of an index that this server may not change, and the versions that they are folded into. A
 * version that a build publishes is for a reload.
 */
export function followIndex({ served, root, logger, everyMs = 1_000 }: FollowingOptions): Following {
  let freshAt = performance.now();
  let failures = 0;
  let notBefore = 0;
  let busy = false;

  const isOwn = (): boolean => root !== undefined && served.changes.readonlyBecause === undefined;

  async function follow(): Promise<void> {
    const { pair } = served;
    if (pair === undefined || isOwn()) return;
    await pair.neighbours.follow();
    if (root === undefined) return;
    const version = await readCurrent(root);
    if (version === pair.published.version) return;
    const { lineage = [] } = await readIndexManifest(join(root, version));
    if (lineage.some((one) => one.version === pair.published.version)) await served.reload();
  }

  const timer = setInterval(() => {
    if (busy || performance.now() < notBefore) return;
    busy = true;
    follow()
      .then(
        () => {
          freshAt = performance.now();
          failures = 0;
        },
        (err: unknown) => {
          // Each second would fill the log.
          if (failures === 0) logger.warn({ err }, 'the index cannot be followed; it is served as it was');
          failures++;
          // A version that cannot be opened costs the processes that try it.
          if (root !== undefined)
            notBefore = performance.now() + Math.min(everyMs * 2 ** failures, longestPauseMs);
        },
      )
      .finally(() => (busy = false));
  }, everyMs);
  timer.unref();
  return {
    get staleSeconds() {
      return isOwn() ? 0 : (performance.now() - freshAt) / 1000;
    },
    stop: () => clearInterval(timer),
  };
}
