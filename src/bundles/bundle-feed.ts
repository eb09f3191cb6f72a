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
  readonly bringing: Omit<Bringing, 'signal'>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Between looks at a pointer; each is a tenth sooner or later, so that many servers do not ask at once. */
  readonly pollMs: number;
  /** In milliseconds; that of the system unless told. */
  readonly now?: (() => number) | undefined;
}

/** What was opened of a bundle, and an encoder of the cache that it needs. */
export interface Opened<T> {
  readonly value: T;
  readonly encoder?: Shelved | undefined;
}

/** @param bringing how an encoder is fetched for it, which ends when the feed is stopped */
type OpenBundle<T> = (bundle: FetchedBundle, bringing: Bringing) => Promise<Opened<T>>;

/** A bundle that is served, was, or is to be once it is open, and the encoder of the cache that it needs. */
interface Held {
  readonly bundle: FetchedBundle;
  readonly encoder: Shelved | undefined;
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
/** A failure that stays is told again after so long: each poll would fill the log, and once is soon out of sight. */
const repeatMs = 600_000;

export function createBundleFeed(options: BundleFeedOptions): BundleFeed {
  const { source, logger, pollMs, now = Date.now } = options;
  const stopping = new AbortController();
  const bringing: Bringing = { ...options.bringing, signal: stopping.signal };
  const { cache } = bringing;
  const key = createHash('sha256')
    .update(source.kind === 'pointer' ? source.url.href : `name ${options.name}`)
    .digest('hex');
  /** What is served, and what was served before it: both stay in the cache. */
  let current: Held | undefined;
  let former: Held | undefined;
  let next: Held | undefined;
  let etag: string | undefined;
  let flip: (() => Promise<unknown>) | undefined;
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let inRow = 0;
  let toldAt = -Infinity;
  const state: { -readonly [Key in keyof BundleState]: BundleState[Key] } = {
    ...{ sha256: undefined, lastSuccess: undefined, failures: 0, failure: undefined },
  };

  function succeeded(): void {
    if (state.failure !== undefined) logger.info({ sha256: state.sha256 }, 'the bundle is up to date again');
    state.failure = undefined;
    state.lastSuccess = new Date(now());
    inRow = 0;
  }

  function failed(err: unknown): void {
    if (stopping.signal.aborted) return;
    const code = err instanceof NearvoteError ? err.code : 'internal';
    const message = messageOf(err);
    if (state.failure?.message !== message || now() - toldAt >= repeatMs) {
      toldAt = now();
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

  /** Of what was served before it, the last is kept. */
  async function adopt(held: Held): Promise<void> {
    const { sha256 } = held.bundle;
    const isOther = current !== undefined && current.bundle.sha256 !== sha256;
    const gone = isOther ? former : current;
    if (isOther) former = current;
    current = held;
    state.sha256 = sha256;
    await release(gone, held);
    const known = await cache.servedBy(key);
    const before = former?.bundle.sha256 ?? known.bundles.find((one) => one !== sha256);
    const encoders = [held.encoder?.sha256, former?.encoder?.sha256, ...(former ? [] : known.encoders)];
    await cache
      .remember(key, {
        bundles: before === undefined ? [sha256] : [sha256, before],
        encoders: [...new Set(encoders.filter((one) => one !== undefined))].slice(0, 2),
      })
      .catch((err: unknown) => logger.warn({ err }, 'what is served could not be noted in the cache'));
  }

  /** All of it, but for what is served on. */
  async function release(held: Held | undefined, kept?: Held): Promise<void> {
    if (held?.bundle !== kept?.bundle) await held?.bundle.release();
    if (held?.encoder !== kept?.encoder) await held?.encoder?.release();
  }

  /** At the start: there is nothing that it could replace. */
  async function openAndAdopt<T>(bundle: FetchedBundle, openBundle: OpenBundle<T>): Promise<T> {
    const { value, encoder } = await openBundle(bundle, bringing).catch(async (error: unknown) => {
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
      if (named !== undefined && named.sha256 !== current?.bundle.sha256)
        await flipTo(await bringBundle(named, bringing));
      succeeded();
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  async function flipTo(bundle: FetchedBundle): Promise<void> {
    next = { bundle, encoder: undefined };
    try {
      await flip?.();
      await adopt(next);
    } catch (error) {
      await release(next);
      throw error;
    } finally {
      next = undefined;
    }
  }

  function look(): Promise<void> {
    if (running === undefined) {
      running = lookNow().finally(() => (running = undefined));
      return running;
    }
    // The one that runs may have read the pointer before whoever asks now has changed it.
    queued ??= running
      .catch(() => undefined)
      .then(() => {
        queued = undefined;
        return look();
      });
    return queued;
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

  const beganAt = now();
  return {
    state,
    get staleSeconds() {
      if (source.kind === 'bundle') return 0;
      return (now() - (state.lastSuccess?.getTime() ?? beganAt)) / 1000;
    },
    open: async (openBundle) => {
      const held = next ?? current;
      if (held === undefined) return openFirst(openBundle);
      const { value, encoder } = await openBundle(held.bundle, bringing);
      if (held === next) next = { ...held, encoder };
      else await adopt({ ...held, encoder });
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
      for (const held of [current, former]) void release(held);
    },
  };
}
