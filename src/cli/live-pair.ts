import type { Logger } from 'pino';
import type { Classifier } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';
import type { Inference } from '../inference/inference.js';
import type { Metrics } from '../server/metrics.js';
import type { Serving } from '../server/serving.js';
import { classifierOf, type OpenPair } from './open-pair.js';
import { applyCalibration, type VoteChoice } from './vote-choice.js';

export interface LivePairOptions {
  readonly serving: Serving;
  readonly metrics: Pick<Metrics, 'serves' | 'watchQueue' | 'reloaded'>;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly vote: VoteChoice;
  /** Opens what is published now, in workers of its own. */
  readonly open: (how: { readonly besideOthers: boolean }) => Promise<OpenPair>;
}

/** The index, encoder and workers that answer, and how they are replaced. */
export interface LivePair {
  /** The first pair. @throws what opening it threw */
  load(): Promise<OpenPair>;
  /**
   * Swaps in what is published now; requests in flight finish on what they started with. Reloads run one after
   * another, and those asked for during one share the next.
   * @throws NearvoteError what opening threw, while the old pair goes on serving; `shutting_down`
   */
  reload(): Promise<{ readonly name: string; readonly version: string }>;
  /** Stops all workers once what they were given is answered. */
  close(): Promise<void>;
}

interface Live {
  readonly pair: OpenPair;
  readonly classifier: Classifier;
}

export function createLivePair(options: LivePairOptions): LivePair {
  const { serving, metrics, logger, vote } = options;
  let live: Live | undefined;
  let closing = false;
  /** The workers of the pair before this one, until nobody needs them. */
  let retiring: Promise<void> = Promise.resolve();
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<OpenPair> | undefined;
  const open = new Set<Inference>();

  // Asked anew after every await.
  const isClosing = (): boolean => closing || serving.stopping;

  function closedError(): NearvoteError {
    return new NearvoteError('shutting_down', 'Expected a serving server but it is shutting down');
  }

  async function swapIn(besideOthers: boolean): Promise<OpenPair> {
    if (isClosing()) throw closedError();
    const pair = await options.open({ besideOthers });
    open.add(pair.inference);
    if (isClosing()) {
      await retire(pair.inference);
      throw closedError();
    }
    const former = live;
    live = { pair, classifier: classifierOf(pair, vote) };
    const { warning } = applyCalibration(pair.calibration, vote);
    if (warning !== undefined) logger.warn(warning);
    metrics.serves(live.classifier, pair.inference.searchKind);
    metrics.watchQueue(() => pair.inference.queueDepth);
    serving.workersReady = () => pair.inference.ready;
    serving.classifier = live.classifier;
    if (former !== undefined) {
      retiring = serving.holds.none(former.classifier).then(() => retire(former.pair.inference));
    }
    return pair;
  }

  async function retire(inference: Inference): Promise<void> {
    await inference.close();
    open.delete(inference);
  }

  async function reloadNow(): Promise<OpenPair> {
    // At most two pairs are held in memory, however often a reload is asked for.
    await retiring;
    next = undefined;
    try {
      const pair = await swapIn(true);
      metrics.reloaded('ok');
      logger.info({ index: pair.index.name, version: pair.index.version }, 'reloaded');
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
    load: () => inTurn(() => swapIn(false)),
    reload: async () => {
      if (isClosing()) throw closedError();
      next ??= inTurn(reloadNow);
      const { index } = await next;
      return { name: index.name, version: index.version };
    },
    close: async () => {
      closing = true;
      // A pair that is still being opened closes itself; its workers end with this process at the latest.
      await Promise.all([...open].map(retire));
    },
  };
}
