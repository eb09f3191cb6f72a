import type { ServerResponse } from 'node:http';
import type { Classifier } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';

/** What the server can answer with now; read anew by every request, so a swap of the pair is one assignment. */
export interface Serving {
  /** Absent until encoder and index are loaded and warmed up. */
  classifier: Classifier | undefined;
  /** False while no worker could take a batch. */
  workersReady: () => boolean;
  stopping: boolean;
  readonly holds: Holds;
}

/** Which requests still need a classifier: after a swap its workers stay until they are answered. */
interface Holds {
  add(classifier: Classifier): void;
  remove(classifier: Classifier): void;
  /** Resolves when no request holds it. */
  none(classifier: Classifier): Promise<void>;
}

export function createServing(): Serving {
  return { classifier: undefined, workersReady: () => true, stopping: false, holds: createHolds() };
}

function createHolds(): Holds {
  const counts = new Map<Classifier, number>();
  const waiting = new Map<Classifier, (() => void)[]>();
  return {
    add: (classifier) => counts.set(classifier, (counts.get(classifier) ?? 0) + 1),
    remove: (classifier) => {
      const left = (counts.get(classifier) ?? 0) - 1;
      if (left > 0) {
        counts.set(classifier, left);
        return;
      }
      counts.delete(classifier);
      for (const resolve of waiting.get(classifier) ?? []) resolve();
      waiting.delete(classifier);
    },
    none: (classifier) =>
      counts.has(classifier)
        ? new Promise((resolve) => waiting.set(classifier, [...(waiting.get(classifier) ?? []), resolve]))
        : Promise.resolve(),
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
 * The classifier for a request, held for it until its answer is out or its client has gone. A request that was
 * accepted is answered even while the server stops.
 * @throws NearvoteError `not_ready`
 */
export function holdClassifier(serving: Serving, res: ServerResponse): Classifier {
  const classifier = loadedClassifier(serving);
  // A response that is closed already would never let go.
  if (!res.closed) {
    serving.holds.add(classifier);
    res.once('close', () => serving.holds.remove(classifier));
  }
  return classifier;
}

function loadedClassifier(serving: Serving): Classifier {
  if (serving.classifier === undefined) {
    throw new NearvoteError('not_ready', 'Expected a loaded index and encoder but they are still loading');
  }
  return serving.classifier;
}
