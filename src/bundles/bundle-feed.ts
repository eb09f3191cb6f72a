import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf, NearvoteError, type ErrorCode } from '../domain/errors.js';
import { bringBundle, cachedBundle, type Bringing, type FetchedBundle } from './bring.js';
import { parsePointer, type BundleUrl, type PointerUrl } from './bundle-url.js';
import type { Shelved } from './cache.js';
import { readSmall } from './download.js';

export interface BundleFeedOptions {
  readonly source: BundleUrl | PointerUrl;
  /** What requests call the index. */
  readonly name: string;
  readonly bringing: Bringing;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Between looks at a pointer; each is a tenth sooner or later, so that many servers do not ask at once. */
  readonly pollMs: number;
}

/** What was opened of a bundle, and an encoder of the cache that it needs. */
export interface Opened<T> {
  readonly value: T;
  readonly encoder?: Shelved | undefined;
}

type OpenBundle<T> = (bundle: FetchedBundle) => Promise<Opened<T>>;

/** What is to be served once it is open. */
interface Pending {
  readonly bundle: FetchedBundle;
  encoder: Shelved | undefined;
}

/** The bundle that a server serves, and how it came to it. */
export interface BundleState {
  /** Of the bundle that is served. */
  readonly sha256: string | undefined;
  /** When it was last seen to be the one to serve. */
  readonly lastSuccess: Date | undefined;
  readonly failures: number;
  /** Why another one is not served, since the last success. */
  readonly failure: { readonly code: ErrorCode; readonly message: string } | undefined;
}

/** Brings the bundle of an index, and each that its pointer names later. */
export interface BundleFeed {
  readonly state: BundleState;
  /** Since the pointer was last seen to name what is served; 0 of a bundle, which is named for good. */
  readonly staleSeconds: number;
  /**
   * Opens the bundle that is to be served now. At the start it waits for a host that cannot be reached, and falls back on
   * what was served last where that is in the cache.
   * @throws NearvoteError what no further try would change, and what opening throws
   */
  open<T>(openBundle: OpenBundle<T>): Promise<T>;
  /** Looks at the pointer from now on; `flip` serves what `open` gives, or throws with all as it was. */
  follow(flip: () => Promise<unknown>): void;
  /** Looks at it now. @throws NearvoteError what went wrong, while what is served goes on */
  look(): Promise<void>;
  stop(): void;
}

const mostPointerBytes = 4_096;
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

export function createBundleFeed(options: BundleFeedOptions): BundleFeed {
  const { source, logger, pollMs } = options;
  const stopping = new AbortController();
  const bringing = {
    ...options.bringing,
    signal: AbortSignal.any([options.bringing.signal, stopping.signal]),
  };
  const { cache } = bringing;
  const key = createHash('sha256')
    .update(source.kind === 'pointer' ? source.url.href : `name ${options.name}`)
    .digest('hex');
  /** What is served, and what was served before it: both stay in the cache. */
  let current: FetchedBundle | undefined;
  let former: FetchedBundle | undefined;
  let next: Pending | undefined;
  const encoders = new Map<string, Shelved>();
  let etag: string | undefined;
  let flip: (() => Promise<unknown>) | undefined;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let inRow = 0;
  const state: { -readonly [Key in keyof BundleState]: BundleState[Key] } = {
    ...{ sha256: undefined, lastSuccess: undefined, failures: 0, failure: undefined },
  };

  function succeeded(): void {
    if (state.failure !== undefined) logger.info({ sha256: state.sha256 }, 'the bundle is up to date again');
    state.failure = undefined;
    state.lastSuccess = new Date();
    inRow = 0;
  }

  function failed(err: unknown): void {
    if (stopping.signal.aborted) return;
    const code = err instanceof NearvoteError ? err.code : 'internal';
    const message = messageOf(err);
    // Each poll would fill the log.
    if (state.failure?.message !== message) {
      logger.warn(
        { err },
        current === undefined ? 'there is no bundle yet' : 'the bundle from before goes on serving',
      );
    }
    state.failure = { code, message };
    state.failures++;
    inRow++;
    // It may name the same as before, and that may be whole by then.
    etag = undefined;
  }

  /** What is to be served now; undefined where the pointer has not changed. */
  async function latest(): Promise<BundleUrl | undefined> {
    if (source.kind === 'bundle') return source;
    const { rules, signal } = bringing;
    const read = await readSmall(source, { mostBytes: mostPointerBytes, etag, rules, signal });
    if (read === undefined) return undefined;
    const named = parsePointer(read.text, source, rules);
    etag = read.etag;
    return named;
  }

  async function adopt({ bundle, encoder }: Pending): Promise<void> {
    if (encoder !== undefined) {
      const again = encoders.get(encoder.sha256);
      encoders.set(encoder.sha256, encoder);
      await again?.release();
    }
    if (bundle !== current) {
      await (current?.sha256 === bundle.sha256 ? current : former)?.release();
      if (current?.sha256 !== bundle.sha256) former = current;
    }
    current = bundle;
    state.sha256 = bundle.sha256;
    const before = former?.sha256 ?? (await cache.servedBy(key)).bundles.find((one) => one !== bundle.sha256);
    const bundles = [bundle.sha256, ...(before === undefined ? [] : [before])];
    await cache.remember(key, { bundles, encoders: [...encoders.keys()] }).catch((err: unknown) => {
      logger.warn({ err }, 'what is served could not be noted in the cache');
    });
  }

  /** At the start: there is nothing that it could replace. */
  async function openAndAdopt<T>(bundle: FetchedBundle, openBundle: OpenBundle<T>): Promise<T> {
    const { value, encoder } = await openBundle(bundle).catch(async (error: unknown) => {
      await bundle.release();
      throw error;
    });
    await adopt({ bundle, encoder });
    return value;
  }

  /** What was served before the restart, and whole. */
  async function openLast<T>(openBundle: OpenBundle<T>): Promise<{ readonly value: T } | undefined> {
    for (const sha256 of (await cache.servedBy(key)).bundles) {
      const bundle = await cachedBundle(cache, sha256);
      if (bundle === undefined) continue;
      try {
        const value = await openAndAdopt(bundle, openBundle);
        logger.warn({ sha256 }, 'what was served before the restart is served again');
        return { value };
      } catch (err) {
        logger.warn({ err, sha256 }, 'what was served before the restart cannot be opened');
      }
    }
    return undefined;
  }

  async function openFirst<T>(openBundle: OpenBundle<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        const named = await latest();
        if (named === undefined) throw new Error('Expected a pointer but it says that nothing has changed');
        const value = await openAndAdopt(await bringBundle(named, bringing), openBundle);
        succeeded();
        return value;
      } catch (error) {
        stopping.signal.throwIfAborted();
        failed(error);
        // Somebody mends a pointer; what a digest says stays wrong.
        const code = error instanceof NearvoteError ? error.code : 'internal';
        if (code === 'dependency_missing' || (source.kind === 'bundle' && code !== 'bundle_unreachable'))
          throw error;
        const last = source.kind === 'pointer' && attempt === 0 ? await openLast(openBundle) : undefined;
        if (last !== undefined) return last.value;
        await pause(Math.min(firstPauseMs * 2 ** attempt, longestPauseMs), undefined, bringing);
      }
    }
  }

  async function lookNow(): Promise<void> {
    try {
      const named = await latest();
      if (named !== undefined && named.sha256 !== current?.sha256)
        await flipTo(await bringBundle(named, bringing));
      succeeded();
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  async function flipTo(bundle: FetchedBundle): Promise<void> {
    const pending: Pending = { bundle, encoder: undefined };
    next = pending;
    try {
      await flip?.();
      await adopt(pending);
    } catch (error) {
      await Promise.all([bundle.release(), pending.encoder?.release()]);
      throw error;
    } finally {
      next = undefined;
    }
  }

  function look(): Promise<void> {
    running ??= lookNow().finally(() => (running = undefined));
    return running;
  }

  function plan(): void {
    const waitMs =
      Math.min(pollMs * 2 ** inRow, Math.max(pollMs, longestPauseMs)) * (0.9 + Math.random() / 5);
    timer = setTimeout(() => {
      void look()
        .catch(() => undefined)
        .finally(() => {
          if (!stopping.signal.aborted) plan();
        });
    }, waitMs);
    timer.unref();
  }

  const beganAt = Date.now();
  return {
    state,
    get staleSeconds() {
      if (source.kind === 'bundle') return 0;
      return (Date.now() - (state.lastSuccess?.getTime() ?? beganAt)) / 1000;
    },
    open: async (openBundle) => {
      const pending = next;
      const bundle = pending?.bundle ?? current;
      if (bundle === undefined) return openFirst(openBundle);
      const { value, encoder } = await openBundle(bundle);
      if (pending !== undefined) pending.encoder = encoder;
      else if (encoder !== undefined) await adopt({ bundle, encoder });
      return value;
    },
    follow: (how) => {
      flip = how;
      if (source.kind === 'pointer') plan();
    },
    look,
    stop: () => {
      stopping.abort();
      clearTimeout(timer);
      for (const held of [current, former, ...encoders.values()]) void held?.release();
    },
  };
}
