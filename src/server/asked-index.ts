import { dirname } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import type { Neighbours } from '../neighbours/neighbours.js';
import type { OpenPair } from '../pair.js';
import { servingClassifier, type ServedIndex } from './serving.js';

/* What a request may ask of an index that is served. */

/** @throws NearvoteError `not_ready` */
export function loadedPair(served: ServedIndex): OpenPair {
  servingClassifier(served);
  if (served.pair !== undefined) return served.pair;
  throw new NearvoteError('not_ready', 'Expected a loaded index but it is still loading');
}

/** @throws NearvoteError `not_ready` */
export function neighboursOf(served: ServedIndex): Neighbours {
  return loadedPair(served).neighbours;
}

/** The folder that an index lies in. @throws NearvoteError `not_ready`, `query_invalid` where it lies in PostgreSQL */
export function folderOf(served: ServedIndex): string {
  const { published, url } = loadedPair(served);
  if (url === undefined) return dirname(published.dir);
  throw new NearvoteError(
    'query_invalid',
    `Expected an index in a folder, whose versions are kept, but ${served.name} lies in PostgreSQL`,
  );
}
