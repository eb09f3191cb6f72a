import { randomUUID } from 'node:crypto';
import { asEmbeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import type { Change, Picture } from '../examples/journal-record.js';
import { newExamplesOf, type Changed, type ChangeRequest } from '../neighbours/changes.js';
import {
  checkReached,
  type ExampleHistory,
  type IndexState,
  type ListedExamples,
  type ListOptions,
  type Nearest,
  type NearestOptions,
  type LogOptions,
  type Neighbours,
} from '../neighbours/neighbours.js';
import { planChanges } from '../neighbours/plan-changes.js';
import { openDatabase, type Database, type Query } from './database.js';
import type { IndexUrl } from './index-url.js';
import { loadFor, planStateOf } from './plan-state.js';
import {
  changeColumns,
  parseChange,
  parseExample,
  parseListed,
  parsePicture,
  readHead,
  readLabels,
  stateOf,
  type Head,
} from './records.js';
import { createReplica, type Replica } from './replica.js';
import { checkDatabase, rowsTable } from './schema.js';
import { createPostgresSearcher } from './search.js';
import { writeChanges } from './write-changes.js';

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
  /** Told when a replica is lost, and when it is back. */
  readonly onReplica?: ((message: string) => void) | undefined;
  /** In milliseconds; 3 s to connect and 5 s for a statement unless told. */
  readonly limits?: { readonly connectMs: number; readonly statementMs: number } | undefined;
}

const defaultConnections = 10;
const defaultLimits = { connectMs: 3_000, statementMs: 5_000 };
/** Of a replica: after it the database itself is asked, within the time of the same request. */
const replicaLimits = { connectMs: 1_000, statementMs: 2_000 };
/** Of an example that was changed more often, the oldest changes are left out. */
const mostOfOneExample = 100;
/** Looked through at once where examples are listed by text. */
const pageRows = 2_000;

export function openIndexDatabase(
  { connection }: IndexUrl,
  {
    connections = defaultConnections,
    limits = defaultLimits,
  }: Pick<PostgresIndexOptions, 'connections' | 'limits'> = {},
): Promise<Database> {
  return openDatabase({ connection, connections, ...limits });
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
  const { url, connections = defaultConnections, limits = replicaLimits, onReplica } = options;
  if (url.replica === undefined) return undefined;
  const database = await openDatabase({ connection: url.replica, connections, ...limits });
  const replica = createReplica({ database, head, onChange: (message) => onReplica?.(message) });
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
  const table = rowsTable(key);
  let { state } = opened;
  let closed = false;
  /** What this server has answered with: no later answer is of a state before it. */
  let told = 0;
  let stateOfReplica = state;

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
  const searchReplica =
    replica && createPostgresSearcher({ ...shared, database: replica.database, known: () => stateOfReplica });

  /**
   * Reads from the replica where that is as far as is asked for, and as every answer before; else, and where the replica fails,
   * from the database itself, whose word it is.
   */
  async function read<T>(atLeast: number | undefined, reads: Reads<T>): Promise<T> {
    const wanted = Math.max(told, atLeast ?? 0);
    if (replica !== undefined) {
      const found = (await replica.reaches(wanted))
        ? await reads.replica().catch(() => undefined)
        : undefined;
      if (found !== undefined) {
        const sequence = reads.sequenceOf(found);
        replica.hear(sequence);
        if (sequence >= wanted) {
          told = Math.max(told, sequence);
          return found;
        }
      }
      replica.missed();
    }
    const found = await reads.primary();
    const sequence = reads.sequenceOf(found);
    checkReached(sequence, atLeast);
    told = Math.max(told, sequence);
    return found;
  }

  async function searchEither(embedding: Float32Array, asked: NearestOptions): Promise<Nearest> {
    return read(asked.atLeast, {
      sequenceOf: (nearest) => nearest.state.sequence,
      primary: async () => {
        const nearest = await search(embedding, asked);
        hear(nearest.state);
        return nearest;
      },
      replica: async () => {
        const nearest = await searchReplica?.(embedding, asked);
        if (nearest !== undefined) stateOfReplica = nearest.state;
        return nearest;
      },
    });
  }

  const reading = <T>(work: (query: Query) => Promise<T>): Promise<T> => database.transaction('read', work);

  async function sequenceNow(query: Query): Promise<number> {
    const [row] = await query('select sequence from nearvote.indexes where key = $1', [key]);
    return Number(row?.['sequence']);
  }

  async function change(request: ChangeRequest): Promise<Changed> {
    if (access === 'read') {
      throw new NearvoteError(
        'index_readonly',
        'Expected an index that may be changed here but it is open for reading',
      );
    }
    for (const { embedding } of newExamplesOf(request)) asEmbeddings(embedding, dimension);
    const id = randomUUID();
    let written: Written | undefined;
    const made = await database.transaction('write', async (query): Promise<Made> => {
      // Whoever changes an index holds its head: sequences are given in the order of commits, without gaps.
      const head = await readHead(query, opened.head.name, 'for update');
      if (written !== undefined && (await isWritten(query, key, { ...written, id }))) {
        return { answer: written.answer, state: stateOf(head, await readLabels(query, key)) };
      }
      const loaded = await loadFor(query, head, request);
      const planned = planStateOf(head, loaded);
      const plan = planChanges(planned.state, planned.history, request);
      const { changes: drafts, outcomes, reverts } = plan;
      if (drafts.length === 0) {
        const answer = { sequence: head.sequence, operation: null, outcomes };
        return { answer, state: stateOf(head, loaded.labels) };
      }
      const { reason, who } = request;
      const continues = await continuedBy(query, key, request);
      const operation = await writeChanges(query, {
        ...{ head, loaded, drafts, reason, who, reverts, continues },
        ...{ at: now(), request: id },
      });
      const answer = { sequence: head.sequence + drafts.length, operation, outcomes };
      written = { first: head.sequence + 1, answer };
      return { answer, state: stateOf(await readHead(query, head.name), await readLabels(query, key)) };
    });
    hear(made.state);
    told = Math.max(told, made.answer.sequence);
    return made.answer;
  }

  async function example(id: string): Promise<ExampleHistory> {
    return reading(async (query) => {
      const [row] = await query(`select id, label, source from ${table} where id = $1 and removed is null`, [
        id,
      ]);
      if (row === undefined) throw missing(id);
      const changes = await query(
        `select ${changeColumns} from nearvote.changes where index_key = $1 and id = $2 order by sequence desc limit $3`,
        [key, id, mostOfOneExample],
      );
      return {
        example: parseExample(row),
        changes: changes.map(parseChange),
        sequence: await sequenceNow(query),
      };
    });
  }

  async function picture(id: string): Promise<Picture> {
    const [row] = await reading((query) =>
      query(`select picture, media_type from ${table} where id = $1 and removed is null`, [id]),
    );
    if (row === undefined) throw missing(id);
    const { picture: bytes, media_type: mediaType } = parsePicture(row);
    if (bytes !== null && mediaType !== null) return { bytes, mediaType };
    throw new NearvoteError(
      'example_missing',
      `Expected an example that was added with its picture but ${id} came with a build, which keeps none`,
    );
  }

  function list(asked: ListOptions): Promise<ListedExamples> {
    const from = (one: Database) => one.transaction('read', (query) => listFrom(query, asked));
    return read(asked.atLeast, {
      sequenceOf: ({ sequence }) => sequence,
      primary: () => from(database),
      replica: () => (replica === undefined ? Promise.resolve(undefined) : from(replica.database)),
    });
  }

  async function listFrom(query: Query, { label, text, after, limit }: ListOptions): Promise<ListedExamples> {
    let position = after === undefined ? -1 : await positionOf(query, after);
    const wanted = text?.toLowerCase();
    const found: ListedExamples['examples'][number][] = [];
    for (let isLast = false; !isLast && found.length <= limit;) {
      const most = wanted === undefined ? limit + 1 : pageRows;
      const rows = await query(
        `select position, id, label, source from ${table}
          where removed is null and position > $1 and ($2::text is null or label = $2) order by position limit $3`,
        [position, label ?? null, most],
      );
      isLast = rows.length < most;
      for (const row of rows) {
        const { position: at, ...one } = parseListed(row);
        position = at;
        // Here, so that letters are the same whatever the database takes them for.
        const texts = [one.id, one.label, one.source];
        if (wanted !== undefined && !texts.some((part) => part.toLowerCase().includes(wanted))) continue;
        found.push(one);
      }
    }
    return {
      ...{ examples: found.slice(0, limit), more: found.length > limit },
      sequence: await sequenceNow(query),
    };
  }

  /** Of an example, or of what was one. */
  async function positionOf(query: Query, id: string): Promise<number> {
    const [row] = await query(
      `select position from ${table} where id = $1 order by removed is null desc, position desc limit 1`,
      [id],
    );
    if (row !== undefined) return Number(row['position']);
    throw new NearvoteError(
      'example_missing',
      `Expected the id after which the list goes on but there is no ${quoted(id)}; begin anew`,
    );
  }

  async function log({ before, id, limit }: LogOptions): Promise<readonly Change[]> {
    const rows = await reading((query) =>
      query(
        `select ${changeColumns} from nearvote.changes
          where index_key = $1 and ($2::bigint is null or sequence < $2) and ($3::text is null or id = $3)
          order by sequence desc limit $4`,
        [key, before ?? null, id ?? null, limit],
      ),
    );
    return rows.map(parseChange);
  }

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
      return searchEither(embedding, asked);
    },
    change,
    example,
    labelsOf: async (ids) => {
      const rows = await reading((query) =>
        query(`select id, label, source from ${table} where id = any($1::text[]) and removed is null`, [ids]),
      );
      const labels = new Map(rows.map(parseExample).map(({ id, label }) => [id, label]));
      return ids.map((id) => labels.get(id) ?? null);
    },
    picture,
    list,
    log,
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

/** Of either database; undefined where there is no replica. */
interface Reads<T> {
  readonly primary: () => Promise<T>;
  readonly replica: () => Promise<T | undefined>;
  readonly sequenceOf: (found: T) => number;
}

interface Made {
  readonly answer: Changed;
  readonly state: IndexState;
}

/** What an attempt has written whose commit may have been lost, or its answer. */
interface Written {
  readonly first: number;
  readonly answer: Changed;
}

async function isWritten(
  query: Query,
  key: number,
  { first, id }: Pick<Written, 'first'> & { readonly id: string },
): Promise<boolean> {
  const rows = await query(
    'select from nearvote.changes where index_key = $1 and sequence = $2 and request = $3',
    [key, first, id],
  );
  return rows.length > 0;
}

/** The operation that a request to add goes on with, where the newest change is one of its own. */
async function continuedBy(query: Query, key: number, request: ChangeRequest): Promise<number | undefined> {
  if (request.kind !== 'add' || request.continues === undefined) return undefined;
  const rows = await query(
    `select ${changeColumns} from nearvote.changes where index_key = $1 order by sequence desc limit 1`,
    [key],
  );
  const [newest] = rows.map(parseChange);
  const isSame =
    newest?.operation === request.continues &&
    newest.kind === 'add' &&
    newest.reason === request.reason &&
    newest.who === request.who;
  return isSame ? newest.operation : undefined;
}

function missing(id: string): NearvoteError {
  return new NearvoteError('example_missing', `Expected the id of an example but there is no ${quoted(id)}`);
}
