import type { Classifier } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';

/** What the server can answer with now; read anew by every request, so a swap of the pair is one assignment. */
export interface Serving {
  /** Absent until encoder and index are loaded and warmed up. */
  classifier: Classifier | undefined;
  /** False while no worker could take a batch. */
  workersReady: () => boolean;
  stopping: boolean;
}

export function createServing(): Serving {
  return { classifier: undefined, workersReady: () => true, stopping: false };
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
 * The classifier for a request; one that was accepted is answered even while the server stops.
 * @throws NearvoteError `not_ready`
 */
export function loadedClassifier(serving: Serving): Classifier {
  if (serving.classifier === undefined) {
    throw new NearvoteError('not_ready', 'Expected a loaded index and encoder but they are still loading');
  }
  return serving.classifier;
}
