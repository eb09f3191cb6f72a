import { asEmbeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { newExamplesOf } from '../neighbours/changes.js';
import type { IndexState, ListedExamples, Neighbours } from '../neighbours/neighbours.js';
import { openDatabase, type Database, type Query } from './database.js';
import type { IndexUrl } from './index-url.js';
import { makeChange } from './make-change.js';
import { listExamples, readExample, readLabelsOf, readLog, readPicture } from './read-examples.js';
import { readHead, readLabels, stateOf, type Head } from './records.js';
import { createMonotoneReader, createReplica, type Replica } from './replica.js';
import { checkDatabase } from './schema.js';
import { createPostgresSearcher, type Search, type SearcherOptions } from './search.js';

export interface PostgresIndexOptions {
  readonly url: IndexUrl;
  /** What answers call it. */
  readonly name: string;
  /** The digest, in hex, of the encoder that is to ask, and the dimension of its embeddings; unless told, nobody is to search. */
  readonly encoder?: { readonly digest: string; readonly dimension: number } | undefined;
  readonly search: 'auto' | 'exact';
  readonly access: 'read' | 'write';
  readonly now: () => Date;
  /** Most connections at once; 10 unless told. */
  readonly connections?: number | undefined;
  /** Told when the database or its replica is lost, and when it is back. */
  readonly onDatabase?: ((message: string) => void) | undefined;
  /** In milliseconds; 3 s to connect and 5 s for a statement unless told. */
  readonly limits?: { readonly connectMs: number; readonly statementMs: number } | undefined;
}

const defaultConnections = 10;
const defaultLimits = { connectMs: 3_000, statementMs: 5_000 };
/** Of a replica: after it the database itself is asked, within the time of the same request. */
const replicaLimits = { connectMs: 1_000, statementMs: 2_000 };

export function openIndexDatabase(
  { connection }: IndexUrl,
  {
    connections = defaultConnections,
    limits = defaultLimits,
    onDatabase: onChange,
  }: Pick<PostgresIndexOptions, 'connections' | 'limits' | 'onDatabase'> = {},
): Promise<Database> {
  return openDatabase({ connection, connections, ...limits, onChange });
}

/**
 * Opens an index that lies in PostgreSQL; any number of processes may change it at once.
 * @throws NearvoteError `database_unsuitable`, `database_unreachable`, `index_missing`, `encoder_mismatch`
 */
export async function openPostgresIndex(options: PostgresIndexOptions): Promise<Neighbours> {
  const { url, encoder } = options;
  const database = await openIndexDatabase(url, options);
  try {
    const opened = await database.transaction('read', async (query) => {
      await checkDatabase(query);
      const head = await readHead(query, url.name);
      return { head, state: stateOf(head, await readLabels(query, head.key)) };
    });
    if (encoder !== undefined) checkEncoder(opened.head, encoder);
    const replica = await openReplica(opened.head, options);
    return createPostgresIndex({ database, replica }, opened, options);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** One that cannot be reached is no error: it may come. */
async function openReplica(head: Head, options: PostgresIndexOptions): Promise<Replica | undefined> {
  const { url, connections = defaultConnections, limits = replicaLimits, onDatabase } = options;
  if (url.replica === undefined) return undefined;
  const database = await openDatabase({ connection: url.replica, connections, ...limits });
  const replica = createReplica({ database, head, onChange: (message) => onDatabase?.(message) });
  await replica.look();
  return replica;
}

function checkEncoder(head: Head, { digest, dimension }: NonNullable<PostgresIndexOptions['encoder']>): void {
  if (head.encoder === digest && head.dimension === dimension) return;
  throw new NearvoteError(
    'encoder_mismatch',
    `Expected the index of an encoder with digest ${digest} and dimension ${dimension} but ${head.name} is of one with digest ${head.encoder} and dimension ${head.dimension}`,
  );
}

interface Opened {
  readonly head: Head;
  readonly state: IndexState;
}

interface Databases {
  readonly database: Database;
  readonly replica: Replica | undefined;
}

function createPostgresIndex(
  { database, replica }: Databases,
  opened: Opened,
  options: PostgresIndexOptions,
): Neighbours {
  const { name, access, now } = options;
  const { key, dimension, version } = opened.head;
  const searchKind = options.search === 'exact' ? 'exact' : 'hnsw';
  const either = createMonotoneReader(replica);
  let { state } = opened;
  let closed = false;

  /** Answers may come in another order than they were found in. */
  function hear(heard: IndexState): IndexState {
    if (heard.sequence > state.sequence) state = heard;
    replica?.hearPrimary(heard.sequence);
    return heard;
  }

  // The others are for changes and lists.
  const statements = Math.max(1, Math.floor((options.connections ?? defaultConnections) / 2));
  const shared = { head: opened.head, kind: searchKind, statements } as const;
  const search = createPostgresSearcher({ ...shared, database, known: () => state });
  const searchReplica = replica && createReplicaSearcher(replica, { ...shared, first: state });
  const reading = <T>(work: (query: Query) => Promise<T>): Promise<T> => database.transaction('read', work);

  return {
    version: { name, version },
    searchKind,
    get state() {
      return state;
    },
    get ready() {
      return !closed && (database.reachable || replica?.state.ready === true);
    },
    get replica() {
      return replica?.state;
    },
    search: async (embedding, asked) => {
      asked.signal?.throwIfAborted();
      if (embedding.length !== dimension) {
        throw new NearvoteError(
          'encoder_mismatch',
          `Expected embeddings of dimension ${dimension}, as the index has, but received ${embedding.length}`,
        );
      }
      return either.read(asked.atLeast, {
        sequenceOf: (nearest) => nearest.state.sequence,
        primary: async () => {
          const nearest = await search(embedding, asked);
          hear(nearest.state);
          return nearest;
        },
        replica: searchReplica && (() => searchReplica(embedding, asked)),
      });
    },
    change: async (request) => {
      if (access === 'read') {
        throw new NearvoteError(
          'index_readonly',
          'Expected an index that may be changed here but it is open for reading',
        );
      }
      for (const { embedding } of newExamplesOf(request)) asEmbeddings(embedding, dimension);
      const made = await makeChange(database, opened.head, request, now);
      hear(made.state);
      either.tell(made.answer.sequence);
      return made.answer;
    },
    example: (id) => reading((query) => readExample(query, key, id)),
    labelsOf: (ids) => reading((query) => readLabelsOf(query, key, ids)),
    picture: (id) => reading((query) => readPicture(query, key, id)),
    list: (asked) => {
      const list = (query: Query): Promise<ListedExamples> => listExamples(query, key, asked);
      return either.read(asked.atLeast, {
        sequenceOf: ({ sequence }) => sequence,
        primary: () => reading(list),
        replica: replica && (() => replica.database.transaction('read', list)),
      });
    },
    log: (asked) => reading((query) => readLog(query, key, asked)),
    follow: async () => {
      const looking = replica?.look();
      const found = await reading(async (query) =>
        stateOf(await readHead(query, opened.head.name), await readLabels(query, key)),
      ).finally(() => looking);
      return hear(found);
    },
    close: async () => {
      if (closed) return;
      closed = true;
      await Promise.all([database.close(), replica?.database.close()]);
    },
  };
}

/** It knows the labels of another state than the database's own searches do. */
function createReplicaSearcher(
  { database }: Replica,
  {
    first,
    ...shared
  }: Pick<SearcherOptions, 'head' | 'kind' | 'statements'> & { readonly first: IndexState },
): Search {
  let state = first;
  const search = createPostgresSearcher({ ...shared, database, known: () => state });
  return async (embedding, asked) => {
    const nearest = await search(embedding, asked);
    ({ state } = nearest);
    return nearest;
  };
}
