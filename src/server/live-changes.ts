import type { Logger } from 'pino';
import { isDueForCompaction, type CompactReport } from '../build/compact.js';
import { NearvoteError } from '../domain/errors.js';
import type { FolderLock } from '../files/lock.js';
import type { Changed, ChangeRequest } from '../neighbours/changes.js';
import type { IndexState, Neighbours } from '../neighbours/neighbours.js';

export interface LiveChangesOptions {
  /** The writer's lock of the index, or why this server does not have it. */
  readonly writer: FolderLock | { readonly absent: string };
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** What is served now. */
  readonly neighbours: () => Neighbours | undefined;
  /** Folds the changes into a new version, beside what serves; absent where there is nothing to fold. */
  readonly compact: (() => Promise<CompactReport>) | undefined;
  /** Serves what is published now. */
  readonly reload: () => Promise<unknown>;
  readonly onCompacted?: ((result: 'ok' | 'failed') => void) | undefined;
}

interface Replacement<T> {
  /** Whether the changes are folded into a version first, so that it is there to be gone back to. */
  readonly fold: boolean;
  readonly publish: () => Promise<T>;
  /** Publishes again what was there, where what was published cannot be served. */
  readonly undo: () => Promise<unknown>;
}

type Asked = ChangeRequest | ((neighbours: Neighbours) => Promise<ChangeRequest>);

/** The changes of one served index: in their order, and never while its version is swapped for another. */
export interface LiveChanges {
  /** Why the index cannot be changed here; undefined where it can. */
  readonly readonlyBecause: string | undefined;
  readonly compacting: boolean;
  /** @throws NearvoteError `index_readonly` where the index cannot be changed here */
  requireWritable(): void;
  /**
   * @param request what is asked for, or what makes it of the index as it is when its turn comes
   * @param check throws where the request does not fit what is served when its turn comes
   * @throws NearvoteError as `Neighbours.change`
   */
  change(request: Asked, check?: () => void): Promise<Changed>;
  /**
   * Folds the changes into a new version and serves it; who asks meanwhile shares it.
   * @throws NearvoteError `index_readonly`, `output_unwritable`, `worker_failed`, and what a reload throws
   */
  compact(): Promise<CompactReport>;
  /**
   * Publishes something else and serves it; changes that are asked for meanwhile wait, and are made to that.
   * @throws NearvoteError `index_readonly`, `reload_failed` after which the old goes on, and what publishing throws
   */
  readonly replace: <T>(replacement: Replacement<T>) => Promise<T>;
  /** Runs something while no change is made. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /** Lets another process change the index. */
  close(): Promise<void>;
}

/** After a compaction that failed, before the next. */
const retryMs = 60_000;

export function createLiveChanges(options: LiveChangesOptions): LiveChanges {
  const { writer, logger, compact, reload } = options;
  const lock = 'absent' in writer ? undefined : writer;
  let readonlyBecause = 'absent' in writer ? writer.absent : undefined;
  let last: Promise<unknown> = Promise.resolve();
  let running: Promise<CompactReport> | undefined;
  let notBefore = -Infinity;
  let closed = false;
  /** Set while what is served is replaced. */
  let replacing: Promise<unknown> | undefined;

  function exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = last.then(work, work);
    last = done.catch(() => undefined);
    return done;
  }

  function requireWritable(): FolderLock {
    if (lock !== undefined && readonlyBecause === undefined) return lock;
    throw new NearvoteError(
      'index_readonly',
      `Expected an index that this server may change but ${readonlyBecause ?? 'it is closed'}`,
    );
  }

  async function requireLock(): Promise<void> {
    const held = requireWritable();
    await held.assertHeld().catch((error: unknown) => {
      // Somebody else may change the index now: two that do would overwrite each other.
      readonlyBecause = 'another process has taken the writer lock';
      logger.error({ err: error }, 'the writer lock was lost; the index is served read-only from now on');
      requireWritable();
    });
  }

  async function notWhileReplacing(): Promise<void> {
    while (replacing !== undefined) await replacing;
  }

  async function change(request: Asked, check?: () => void): Promise<Changed> {
    await notWhileReplacing();
    return exclusively(async () => {
      await requireLock();
      const neighbours = options.neighbours();
      if (neighbours === undefined)
        throw new NearvoteError('not_ready', 'Expected a loaded index but it is still loading');
      check?.();
      const done = await neighbours.change(
        typeof request === 'function' ? await request(neighbours) : request,
      );
      considerCompacting(neighbours.state);
      return done;
    });
  }

  async function replace<T>({ fold, publish, undo }: Replacement<T>): Promise<T> {
    requireWritable();
    await notWhileReplacing();
    const { promise, resolve } = withResolver();
    replacing = promise;
    try {
      // What was asked for before is done, and a compaction would publish over what is published here.
      await exclusively(() => Promise.resolve());
      await running?.catch(() => undefined);
      if (fold && (options.neighbours()?.state.changed ?? 0) > 0) await compactOnce();
      const published = await exclusively(async () => {
        await requireLock();
        return publish();
      });
      try {
        await reload();
      } catch (error) {
        await undo();
        const why = error instanceof NearvoteError ? error.code : 'internal';
        throw new NearvoteError(
          'reload_failed',
          `Expected what was published to be served but that failed with ${why}, which the log explains; what was served before goes on`,
          { cause: error },
        );
      }
      return published;
    } finally {
      replacing = undefined;
      resolve();
    }
  }

  function considerCompacting(state: IndexState): void {
    if (!isDueForCompaction(state)) return;
    if (compact === undefined || running !== undefined || closed || performance.now() < notBefore) return;
    void compactOnce().catch(() => undefined);
  }

  function compactOnce(): Promise<CompactReport> {
    running ??= run().finally(() => (running = undefined));
    return running;
  }

  async function run(): Promise<CompactReport> {
    try {
      if (compact === undefined) {
        throw new NearvoteError(
          'index_readonly',
          'Expected an index in a folder, whose changes are folded into a version, but this one lies in PostgreSQL, which needs none',
        );
      }
      const report = await compact();
      // After a reload that failed there is a version to be served without any change to fold in.
      if (report.version !== options.neighbours()?.version.version) await reload();
      options.onCompacted?.('ok');
      logger.info({ version: report.version, sequence: report.sequence }, 'compacted');
      return report;
    } catch (err) {
      notBefore = performance.now() + retryMs;
      options.onCompacted?.('failed');
      if (!closed)
        logger.error({ err }, 'the compaction failed; the index goes on with its changes beside it');
      throw err;
    }
  }

  return {
    get readonlyBecause() {
      return readonlyBecause;
    },
    get compacting() {
      return running !== undefined;
    },
    requireWritable: () => void requireWritable(),
    change,
    compact: async () => {
      requireWritable();
      await notWhileReplacing();
      return compactOnce();
    },
    replace,
    exclusively,
    close: async () => {
      closed = true;
      readonlyBecause ??= 'it is shutting down';
      await last;
      await lock?.release();
    },
  };
}

function withResolver(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
