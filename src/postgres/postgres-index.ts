import { randomUUID } from 'node:crypto';
import { asEmbeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import type { Change, Picture } from '../examples/journal-record.js';
import { newExamplesOf, type Changed, type ChangeRequest } from '../neighbours/changes.js';
import type {
  ExampleHistory,
  IndexState,
  ListedExamples,
  ListOptions,
  LogOptions,
  Neighbours,
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
  /** In milliseconds; 3 s to connect and 5 s for a statement unless told. */
  readonly limits?: { readonly connectMs: number; readonly statementMs: number } | undefined;
}

const defaultConnections = 10;
const defaultLimits = { connectMs: 3_000, statementMs: 5_000 };
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
    return createPostgresIndex(database, opened, options);
  } catch (error) {
    await database.close();
    throw error;
  }
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

function createPostgresIndex(database: Database, opened: Opened, options: PostgresIndexOptions): Neighbours {
  const { name, access, now } = options;
  const { key, dimension, version } = opened.head;
  const searchKind = options.search === 'exact' ? 'exact' : 'hnsw';
  const table = rowsTable(key);
  let { state } = opened;
  let closed = false;

  /** Answers may come in another order than they were found in. */
  function hear(heard: IndexState): IndexState {
    if (heard.sequence > state.sequence) state = heard;
    return heard;
  }

  const search = createPostgresSearcher({
    ...{ database, head: opened.head, kind: searchKind, known: () => state },
    // The others are for changes and lists.
    statements: Math.max(1, Math.floor((options.connections ?? defaultConnections) / 2)),
  });

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

  async function list({ label, text, after, limit }: ListOptions): Promise<ListedExamples> {
    return reading(async (query) => {
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
    });
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
      return !closed && database.reachable;
    },
    search: async (embedding, asked) => {
      asked.signal?.throwIfAborted();
      if (embedding.length !== dimension) {
        throw new NearvoteError(
          'encoder_mismatch',
          `Expected embeddings of dimension ${dimension}, as the index has, but received ${embedding.length}`,
        );
      }
      const nearest = await search(embedding, asked);
      hear(nearest.state);
      return nearest;
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
    follow: () =>
      reading(async (query) =>
        hear(stateOf(await readHead(query, opened.head.name), await readLabels(query, key))),
      ),
    close: async () => {
      if (closed) return;
      closed = true;
      await database.close();
    },
  };
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
