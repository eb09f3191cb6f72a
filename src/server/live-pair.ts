import type { Logger } from 'pino';
import { longestTimerMs } from '../domain/duration.js';
import { NearvoteError } from '../domain/errors.js';
import { classifierOf, type OpenPair } from '../pair.js';
import type { Metrics } from './metrics.js';
import type { ServedIndex, Serving } from './serving.js';
import { applyCalibration, type VoteChoice } from '../examples/calibration-file.js';

export interface LivePairOptions {
  readonly serving: Pick<Serving, 'stopping'>;
  /** Whose pair it is: it is told what answers, and how that is replaced. */
  readonly served: ServedIndex;
  readonly metrics: Pick<Metrics, 'serves' | 'reloaded'>;
  /** Of this index. */
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly vote: VoteChoice;
  /** Share of the examples past which a calibration is stale; a fifth unless told. */
  readonly staleAfter?: number | undefined;
  /** Execution providers that encoders are opened with. */
  readonly providers: readonly string[];
  /** Past it every request has its answer, be it that it took too long. */
  readonly requestTimeoutMs: number;
  /** Opens what is published now, at full speed or beside what serves. */
  readonly open: (how: { readonly besideOthers: boolean }) => Promise<OpenPair>;
}

/** The index and the encoder that answer; `reload` of the served index replaces them. */
export interface LivePair {
  /** The first pair. @throws what opening it threw */
  load(): Promise<OpenPair>;
  /** Stops encoder and index once what they were given is answered. */
  close(): Promise<void>;
}

/** Beyond the longest request: what still holds a former pair then is work that nobody waits for. */
const retiringMarginMs = 1_000;

type Closable = Pick<OpenPair['pool'], 'close'>;

/** Makes the pair of a served index; nothing is opened before `load`. */
export function createLivePair(options: LivePairOptions): LivePair {
  const { serving, served, metrics, logger, vote } = options;
  const retiringMs = Math.min(options.requestTimeoutMs + retiringMarginMs, longestTimerMs);
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
    const { pair: former, classifier: formerClassifier } = served;
    const pair = await options.open({ besideOthers: former !== undefined });
    const parts = [pair.neighbours, pair.pool];
    for (const part of parts) open.add(part);
    if (isClosing()) {
      await Promise.all(parts.map(retire));
      throw closedError();
    }
    const { calibration, origin, warning } = applyCalibration(pair.calibration, vote);
    const classifier = classifierOf(pair, {
      ...{ defaults: vote.settings, calibration },
      ...{ calibrationOrigin: origin, staleAfter: options.staleAfter },
    });
    if (warning !== undefined) logger.warn(warning);
    const swap = async (): Promise<void> => {
      // What was changed while this pair was opened.
      if (former !== undefined) {
        await pair.neighbours.follow();
        checkHoldsAllOf(former, pair);
      }
      served.workersReady = () => pair.pool.ready && pair.neighbours.ready;
      served.classifier = classifier;
      served.pair = pair;
    };
    await served.changes.exclusively(swap).catch(async (error: unknown) => {
      await Promise.allSettled(parts.map(retire));
      throw error;
    });
    metrics.serves(classifier, {
      searchKind: pair.neighbours.searchKind,
      providers: options.providers,
    });
    if (former !== undefined && formerClassifier !== undefined) {
      retiring = served.holds
        .none(formerClassifier, retiringMs)
        .then(async (isFree) => {
          if (!isFree) logger.warn('the former pair is closed although requests still hold it');
          await Promise.all([former.neighbours, former.pool].map(retire));
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

  /** @throws NearvoteError `index_invalid` where the journal of the version that is served has lost changes */
  function checkHoldsAllOf(former: OpenPair, { neighbours, published }: OpenPair): void {
    const [before, now] = [former.neighbours.state.sequence, neighbours.state.sequence];
    if (published.version !== former.published.version || now >= before) return;
    throw new NearvoteError(
      'index_invalid',
      `Expected the journal of ${published.name} ${published.version} to go to sequence ${before}, as what is served does, but it ends at ${now}: it was removed or replaced, and a start of the server would serve what is left`,
    );
  }

  async function reloadNow(): Promise<OpenPair> {
    // At most two pairs are held in memory, however often a reload is asked for.
    await retiring;
    next = undefined;
    try {
      const pair = await swapIn();
      metrics.reloaded(served.name, 'ok');
      logger.info({ version: pair.published.version }, 'reloaded');
      return pair;
    } catch (err) {
      if (isClosing()) throw closedError();
      metrics.reloaded(served.name, 'failed');
      logger.error({ err }, 'reload failed; the pair from before goes on serving');
      throw err;
    }
  }

  function inTurn<T>(job: () => Promise<T>): Promise<T> {
    const done = last.then(job, job);
    last = done;
    return done;
  }

  served.reload = async () => {
    if (isClosing()) throw closedError();
    next ??= inTurn(reloadNow);
    const { name, version } = (await next).published;
    return { name, version };
  };
  return {
    load: () => inTurn(swapIn),
    close: async () => {
      closing = true;
      // A pair that is still being opened closes itself; its processes end with this one at the latest.
      await Promise.all([...open].map(retire));
    },
  };
}
