import type { IndexDescription } from '../curate/describe-index.js';
import type { ManagedIndex } from '../curate/managed-index.js';
import { NearvoteError } from '../domain/errors.js';
import type { Neighbours } from '../neighbours/neighbours.js';
import type { IndexUrl } from '../postgres/index-url.js';
import { openPostgresIndex } from '../postgres/postgres-index.js';
import { readStoredIndex, type StoredIndex } from '../postgres/stored-index.js';

/** An index in PostgreSQL that a command looks after, beside the servers that serve it. */
export function storedIndex(url: IndexUrl): ManagedIndex {
  const opened = async <T>(
    access: 'read' | 'write',
    work: (neighbours: Neighbours) => Promise<T>,
  ): Promise<T> => {
    const neighbours = await openPostgresIndex({
      ...{ url, access, name: url.name, search: 'auto', connections: 1, now: () => new Date() },
    });
    try {
      return await work(neighbours);
    } finally {
      await neighbours.close();
    }
  };
  return {
    change: (request) => opened('write', (neighbours) => neighbours.change(request)),
    log: (request) => opened('read', (neighbours) => neighbours.log(request)),
    describe: async () => {
      const stored = await readStoredIndex(url);
      return opened('read', (neighbours) => Promise.resolve(describe(stored, neighbours)));
    },
    sequenceCalled: (state) => Promise.resolve(sequenceOf(state)),
  };
}

function describe({ published }: StoredIndex, { state, searchKind }: Neighbours): IndexDescription {
  const { name, version, dir: root, manifest } = published;
  const { sequence, examples, labels } = state;
  const { dimension, dataset, encoder } = manifest;
  return {
    ...{
      name,
      root,
      version,
      sequence,
      changesSince: sequence,
      examples,
      labels,
      dimension,
      dataset,
      encoder,
    },
    search: searchKind,
    // It keeps every change, and no version but the one that was loaded.
    ...{ versions: [], bytes: 0 },
  };
}

/** @throws NearvoteError `usage`: there is one version, which every change came after */
function sequenceOf(state: string): number {
  if (/^\d{1,15}$/.test(state)) return Number(state);
  throw new NearvoteError(
    'usage',
    `Expected the number of a change, 0 for before the first, but received ${state}`,
  );
}
