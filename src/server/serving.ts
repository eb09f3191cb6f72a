import type { AskedCalibration, TaughtCalibration } from '../calibrate/taught-aside.js';
import type { Classifier } from '../classify.js';
import type { BundleState } from '../bundles/bundle-feed.js';
import { NearvoteError } from '../domain/errors.js';
import type { OpenPair } from '../pair.js';
import type { DecisionKeeper } from './decision-keeper.js';
import { quoted } from '../domain/quoted.js';
import type { LabelAdvice } from './label-advice.js';
import { createLiveChanges, type LiveChanges } from './live-changes.js';

/** One index of the server; what it can answer with now is read anew by every request, so a swap of its pair is one assignment. */
export interface ServedIndex {
  /** What requests, answers and metrics call it. */
  readonly name: string;
  /** Absent until encoder and index are loaded and warmed up. */
  classifier: Classifier | undefined;
  /** What the classifier is made of. */
  pair: OpenPair | undefined;
  /** False while no worker could take a batch, or nobody could search. */
  workersReady: () => boolean;
  /** How long it has been seen without a worker, in milliseconds; 0 while there is one. */
  withoutWorkersMs(): number;
  readonly holds: Holds;
  /** Keeps its decisions for a while, where it was asked to. */
  kept: KeptOfIndex | undefined;
  /** Which labels would gain from more examples. */
  advice: LabelAdvice | undefined;
  /** Calibrates it anew on a share, in (0, 1], of what it was taught, and serves that. */
  recalibrate: (asked: AskedCalibration) => Promise<TaughtCalibration>;
  /** Where it is fetched as bundles. */
  bundle: { readonly state: BundleState } | undefined;
  /** How its examples are changed. */
  changes: LiveChanges;
  /**
   * Swaps in what the index has published by now; requests in flight finish on what they started with. Reloads run one
   * after another, and those asked for during one share the next.
   * @throws NearvoteError what opening threw, while what was served before goes on; `shutting_down`, `not_ready`
   */
  reload: () => Promise<{ readonly name: string; readonly version: string }>;
}

interface KeptOfIndex {
  readonly keeper: DecisionKeeper;
  /** Known images with a confidence below this wait for a person; without it none do. */
  readonly reviewBelow: number | undefined;
}

/** What the server answers with: its indexes, which do not wait for each other. */
export interface Serving {
  stopping: boolean;
  /** In the order in which they were named; the first is the default. */
  readonly indexes: readonly [ServedIndex, ...ServedIndex[]];
  /**
   * The index of that name, the default where there is no name.
   * @throws NearvoteError `index_unknown`, naming those there are
   */
  find(name: string | undefined): ServedIndex;
}

/** Which work still needs a classifier: after a swap its workers stay until that is done. */
interface Holds {
  add(classifier: Classifier): void;
  remove(classifier: Classifier): void;
  /** True when nothing holds it; false where something still does after `withinMs`, for ever unless told. */
  none(classifier: Classifier, withinMs?: number): Promise<boolean>;
}

/** A worker that died is replaced within this; requests wait for it so long, and are refused at once after that. */
const replacementMs = 2000;

/**
 * @param names of the indexes, all different
 * @param now milliseconds on a clock that never goes back
 */
export function createServing(
  [first, ...others]: readonly [string, ...string[]],
  now: () => number = () => performance.now(),
): Serving {
  const indexes = [
    createServedIndex(first, now),
    ...others.map((name) => createServedIndex(name, now)),
  ] as const;
  const byName = new Map(indexes.map((index) => [index.name, index]));
  return {
    stopping: false,
    indexes,
    find(name) {
      const found = name === undefined ? indexes[0] : byName.get(name);
      if (found !== undefined) return found;
      throw new NearvoteError(
        'index_unknown',
        `Expected one of the indexes ${[...byName.keys()].join(', ')} but received ${quoted(name ?? '')}`,
      );
    },
  };
}

function createServedIndex(name: string, now: () => number): ServedIndex {
  let withoutSince: number | undefined;
  const served: ServedIndex = {
    name,
    classifier: undefined,
    pair: undefined,
    workersReady: () => true,
    withoutWorkersMs() {
      withoutSince = served.workersReady() ? undefined : (withoutSince ?? now());
      return withoutSince === undefined ? 0 : now() - withoutSince;
    },
    holds: createHolds(),
    kept: undefined,
    advice: undefined,
    bundle: undefined,
    recalibrate: () => Promise.reject(loadingError()),
    changes: unchanging,
    reload: () => Promise.reject(loadingError()),
  };
  return served;
}

/** Until the server says otherwise. */
const unchanging = createLiveChanges({
  writer: { absent: 'it was not opened for that' },
  logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
  neighbours: () => undefined,
  compact: () => Promise.reject(loadingError()),
  reload: () => Promise.reject(loadingError()),
});

function createHolds(): Holds {
  const counts = new Map<Classifier, number>();
  const waiting = new Map<Classifier, Set<() => void>>();
  const wait = (classifier: Classifier, withinMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      const waiters = waiting.get(classifier) ?? new Set();
      waiting.set(classifier, waiters);
      const timer = withinMs === Infinity ? undefined : setTimeout(giveUp, withinMs);
      const free = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      waiters.add(free);
      function giveUp(): void {
        waiters.delete(free);
        resolve(false);
      }
    });
  return {
    add: (classifier) => counts.set(classifier, (counts.get(classifier) ?? 0) + 1),
    remove: (classifier) => {
      const left = (counts.get(classifier) ?? 0) - 1;
      if (left > 0) {
        counts.set(classifier, left);
        return;
      }
      counts.delete(classifier);
      for (const free of waiting.get(classifier) ?? []) free();
      waiting.delete(classifier);
    },
    none: (classifier, withinMs = Infinity) =>
      counts.has(classifier) ? wait(classifier, withinMs) : Promise.resolve(true),
  };
}

/**
 * The classifiers of all indexes, in the order of the server, when every one can answer.
 * @throws NearvoteError `shutting_down`, or `not_ready` naming those that cannot
 */
export function readyClassifiers({ stopping, indexes }: Serving): readonly [Classifier, ...Classifier[]] {
  if (stopping) {
    throw new NearvoteError('shutting_down', 'Expected a serving server but it is shutting down');
  }
  const unready = indexes.filter((index) => index.classifier === undefined || !index.workersReady());
  if (unready.length > 0) throw notReadyError(unready, indexes.length);
  const [first, ...others] = indexes;
  return [loadedClassifier(first), ...others.map(loadedClassifier)];
}

/** Which of them; where there is no other, its name would say nothing. */
function notReadyError(unready: readonly ServedIndex[], indexes: number): NearvoteError {
  if (indexes > 1) {
    const named = unready.map((index) =>
      index.classifier === undefined
        ? `${index.name} is still loading${failureOf(index)}`
        : `a process of ${index.name} is being replaced`,
    );
    return new NearvoteError('not_ready', `Expected every index to be ready but ${named.join(', ')}`);
  }
  const [first] = unready;
  if (first?.classifier === undefined) return loadingError(first === undefined ? '' : failureOf(first));
  return new NearvoteError('not_ready', 'Expected a ready worker but it is being replaced');
}

/**
 * The classifier of an index for a request. One that was accepted is answered even while the server stops.
 * @throws NearvoteError `not_ready`
 */
export function servingClassifier(served: ServedIndex): Classifier {
  if (served.withoutWorkersMs() > replacementMs) {
    throw new NearvoteError('not_ready', 'Expected a ready worker but none has come back');
  }
  return loadedClassifier(served);
}

/** Why a bundle is not there yet. */
function failureOf({ bundle }: ServedIndex): string {
  const failure = bundle?.state.failure;
  return failure === undefined ? '' : ` (${failure.code}: ${failure.message})`;
}

function loadedClassifier({ classifier }: ServedIndex): Classifier {
  if (classifier === undefined) throw loadingError();
  return classifier;
}

function loadingError(why = ''): NearvoteError {
  return new NearvoteError(
    'not_ready',
    `Expected a loaded index and encoder but they are still loading${why}`,
  );
}
