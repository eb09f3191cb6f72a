import type { Classifier } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';

/** What the server can answer with now; read anew by every request, so a swap of the pair is one assignment. */
export interface Serving {
  /** Absent until encoder and index are loaded and warmed up. */
  classifier: Classifier | undefined;
  /** False while no worker could take a batch. */
  workersReady: () => boolean;
  /** How long it has been seen without a worker, in milliseconds; 0 while there is one. */
  withoutWorkersMs(): number;
  stopping: boolean;
  readonly holds: Holds;
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

/** @param now milliseconds on a clock that never goes back */
export function createServing(now: () => number = () => performance.now()): Serving {
  let withoutSince: number | undefined;
  const serving: Serving = {
    classifier: undefined,
    workersReady: () => true,
    withoutWorkersMs() {
      withoutSince = serving.workersReady() ? undefined : (withoutSince ?? now());
      return withoutSince === undefined ? 0 : now() - withoutSince;
    },
    stopping: false,
    holds: createHolds(),
  };
  return serving;
}

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
 * The classifier that readiness stands for.
 * @throws NearvoteError `shutting_down` or `not_ready`
 */
export function readyClassifier(serving: Serving): Classifier {
  if (serving.stopping) {
    throw new NearvoteError('shutting_down', 'Expected a serving server but it is shutting down');
  }
  if (!serving.workersReady()) {
    throw new NearvoteError('not_ready', 'Expected a ready worker but it is being replaced');
  }
  return loadedClassifier(serving);
}

/**
 * The classifier for a request. One that was accepted is answered even while the server stops.
 * @throws NearvoteError `not_ready`
 */
export function servingClassifier(serving: Serving): Classifier {
  if (serving.withoutWorkersMs() > replacementMs) {
    throw new NearvoteError('not_ready', 'Expected a ready worker but none has come back');
  }
  return loadedClassifier(serving);
}

function loadedClassifier(serving: Serving): Classifier {
  if (serving.classifier === undefined) {
    throw new NearvoteError('not_ready', 'Expected a loaded index and encoder but they are still loading');
  }
  return serving.classifier;
}
