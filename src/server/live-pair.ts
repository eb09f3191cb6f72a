import type { Logger } from 'pino';
import type { Classifier } from '../classify.js';
import { longestTimerMs } from '../domain/duration.js';
import { NearvoteError } from '../domain/errors.js';
import { classifierOf, type OpenPair } from '../pair.js';
import type { Metrics } from './metrics.js';
import type { Serving } from './serving.js';
import { applyCalibration, type VoteChoice } from '../examples/calibration-file.js';

export interface LivePairOptions {
  readonly serving: Serving;
  readonly metrics: Pick<Metrics, 'serves' | 'watchQueue' | 'reloaded'>;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly vote: VoteChoice;
  /** Execution providers that encoders are opened with. */
  readonly providers: readonly string[];
  /** Past it every request has its answer, be it that it took too long. */
  readonly requestTimeoutMs: number;
  /** Opens what is published now; beside a pair that serves, whose encoder it takes over where it is the same. */
  readonly open: (former: OpenPair | undefined) => Promise<OpenPair>;
}

/** The index and the encoder that answer, and how they are replaced. */
export interface LivePair {
  /** The first pair. @throws what opening it threw */
  load(): Promise<OpenPair>;
  /**
   * Swaps in what is published now; requests in flight finish on what they started with. Reloads run one after
   * another, and those asked for during one share the next.
   * @throws NearvoteError what opening threw, while the old pair goes on serving; `shutting_down`
   */
  reload(): Promise<{ readonly name: string; readonly version: string }>;
  /** Stops encoder and index once what they were given is answered. */
  close(): Promise<void>;
}

/** Beyond the longest request: what still holds a former pair then is work that nobody waits for. */
const retiringMarginMs = 1_000;

type Closable = Pick<OpenPair['pool'], 'close'>;

interface Live {
  readonly pair: OpenPair;
  readonly classifier: Classifier;
}

export function createLivePair(options: LivePairOptions): LivePair {
  const { serving, metrics, logger, vote } = options;
  const retiringMs = Math.min(options.requestTimeoutMs + retiringMarginMs, longestTimerMs);
  let live: Live | undefined;
  let closing = false;
  /** The pair before this one, until nobody needs it. */
  let retiring: Promise<void> = Promise.resolve();
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<OpenPair> | undefined;
  /** Encoders and indexes that are not closed yet. */
  const open = new Set<Closable>();

  // Asked anew after every await.
  const isClosing = (): boolean => closing || serving.stopping;

  function closedError(): NearvoteError {
    return new NearvoteError('shutting_down', 'Expected a serving server but it is shutting down');
  }

  async function swapIn(): Promise<OpenPair> {
    if (isClosing()) throw closedError();
    const former = live;
    const pair = await options.open(former?.pair);
    const isNew = (part: Closable): boolean => part !== former?.pair.pool;
    for (const part of [pair.neighbours, pair.pool]) open.add(part);
    if (isClosing()) {
      await Promise.all([pair.neighbours, pair.pool].filter(isNew).map(retire));
      throw closedError();
    }
    const { calibration, warning } = applyCalibration(pair.calibration, vote);
    live = { pair, classifier: classifierOf(pair, { defaults: vote.settings, calibration }) };
    if (warning !== undefined) logger.warn(warning);
    const { slower } = pair.pool;
    if (slower !== undefined && pair.pool !== former?.pair.pool) logger.warn(slower);
    metrics.serves(live.classifier, {
      searchKind: pair.neighbours.searchKind,
      providers: options.providers,
    });
    metrics.watchQueue(() => pair.pool.queueDepth);
    serving.workersReady = () => pair.pool.ready && pair.neighbours.ready;
    serving.classifier = live.classifier;
    if (former !== undefined) {
      const parts = [former.pair.neighbours, former.pair.pool].filter((part) => part !== pair.pool);
      retiring = serving.holds
        .none(former.classifier, retiringMs)
        .then(async (isFree) => {
          if (!isFree) logger.warn('the former pair is closed although requests still hold it');
          await Promise.all(parts.map(retire));
        })
        .catch((err: unknown) => logger.error({ err }, 'the former pair could not be closed'));
    }
    return pair;
  }

  async function retire(part: Closable): Promise<void> {
    try {
      await part.close();
    } finally {
      open.delete(part);
    }
  }

  async function reloadNow(): Promise<OpenPair> {
    // At most two pairs are held in memory, however often a reload is asked for.
    await retiring;
    next = undefined;
    try {
      const pair = await swapIn();
      metrics.reloaded('ok');
      const { name, version } = pair.published;
      logger.info({ index: name, version }, 'reloaded');
      return pair;
    } catch (err) {
      if (isClosing()) throw closedError();
      metrics.reloaded('failed');
      logger.error({ err }, 'reload failed; the pair from before goes on serving');
      throw err;
    }
  }

  function inTurn<T>(job: () => Promise<T>): Promise<T> {
    const done = last.then(job, job);
    last = done;
    return done;
  }

  return {
    load: () => inTurn(swapIn),
    reload: async () => {
      if (isClosing()) throw closedError();
      next ??= inTurn(reloadNow);
      const { name, version } = (await next).published;
      return { name, version };
    },
    close: async () => {
      closing = true;
      // A pair that is still being opened closes itself; its processes end with this one at the latest.
      await Promise.all([...open].map(retire));
    },
  };
}
