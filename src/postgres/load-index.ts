import { NearvoteError } from '../domain/errors.js';
import type { Example } from '../domain/decision.js';
import type { Picture } from '../examples/journal-record.js';
import { openDatabase, type Query } from './database.js';
import type { IndexUrl } from './index-url.js';
import { checkDatabase, migrate, rowsTable } from './schema.js';
import { insertRows, type NewRow } from './write-changes.js';

/** An example as it goes into PostgreSQL. */
export interface LoadedExample extends Example {
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
  readonly picture?: Picture | undefined;
}

export interface LoadIndexOptions {
  readonly url: IndexUrl;
  readonly version: string;
  /** The text of the version's manifest, and of its calibration where it has one. */
  readonly manifest: string;
  readonly calibration: string | null;
  /** The digest, in hex, of the encoder that made the embeddings. */
  readonly encoder: string;
  readonly dimension: number;
  /** Of the graph. */
  readonly m: number;
  readonly efConstruction: number;
  /** In the order of the index. */
  readonly examples: Iterable<LoadedExample>;
  /** In the order of the index. */
  readonly labels: readonly { readonly label: string; readonly examples: number }[];
  readonly onLoaded?: ((examples: number) => void) | undefined;
}

/** What pgvector's graph of single-precision vectors takes. */
const mostDimensions = 2_000;
/** Of 256 values, some megabytes of text in one statement. */
const rowsAtOnce = 1_000;
/** A graph of millions of examples is built by one statement. */
const longestStatementMs = 6 * 3_600_000;

/**
 * Makes an index in PostgreSQL of examples, with the graph built after them, in one transaction: nobody sees half of it.
 * @returns how many examples it has
 * @throws NearvoteError `output_exists` where there is one of that name, `database_unsuitable`, `database_unreachable`
 */
export async function loadIndex(options: LoadIndexOptions): Promise<number> {
  const { url, dimension } = options;
  if (dimension > mostDimensions) {
    throw new NearvoteError(
      'database_unsuitable',
      `Expected embeddings of at most ${mostDimensions} values, which pgvector makes a graph of, but these have ${dimension}`,
    );
  }
  const database = await openDatabase({
    connection: url.connection,
    ...{ connections: 1, connectMs: 10_000, statementMs: longestStatementMs },
  });
  try {
    await migrate(database);
    return await database.transaction('write', async (query) => {
      await checkDatabase(query);
      return load(query, options);
    });
  } finally {
    await database.close();
  }
}

async function load(query: Query, options: LoadIndexOptions): Promise<number> {
  const { url, version, manifest, calibration, encoder, dimension, m, efConstruction, labels } = options;
  const examples = labels.reduce((sum, one) => sum + one.examples, 0);
  const [made] = await query(
    `insert into nearvote.indexes
      (name, version, manifest, calibration, encoder, dimension, sequence, next_position, examples, changed)
      values ($1, $2, $3, $4, $5, $6, 0, $7, $7, 0) on conflict (name) do nothing returning key`,
    [url.name, version, manifest, calibration, encoder, dimension, examples],
  );
  if (made === undefined) {
    throw new NearvoteError(
      'output_exists',
      `Expected a new name for an index but ${url.shown} is there already`,
    );
  }
  const key = Number(made['key']);
  const table = rowsTable(key);
  await query(
    `create table ${table} (
      position bigint primary key,
      id text not null,
      label text not null,
      built_label text,
      source text not null,
      digest text,
      embedding vector(${dimension}) not null,
      added bigint not null,
      removed bigint,
      media_type text,
      picture bytea
    )`,
  );
  await query(
    `insert into nearvote.labels (index_key, place, label, examples)
      select $1, place, label, examples from unnest($2::text[], $3::bigint[]) with ordinality as one(label, examples, place)`,
    [key, labels.map(({ label }) => label), labels.map((one) => one.examples)],
  );
  const loaded = await insertAll(query, key, options);
  if (loaded !== examples) {
    throw new NearvoteError(
      'index_invalid',
      `Expected ${examples} examples, as the labels have, but there are ${loaded}`,
    );
  }
  await query(`create unique index on ${table} (id) where removed is null`);
  await query(`create index on ${table} (id)`);
  await query(`create index on ${table} (digest) where digest is not null`);
  await query(`create index on ${table} (label, position) where removed is null`);
  await query(
    `create index on ${table} using hnsw (embedding vector_ip_ops)
      with (m = ${m}, ef_construction = ${efConstruction}) where removed is null`,
  );
  await query(`analyze ${table}`);
  return loaded;
}

async function insertAll(
  query: Query,
  key: number,
  { examples, onLoaded }: LoadIndexOptions,
): Promise<number> {
  let rows: NewRow[] = [];
  let count = 0;
  const flush = async (): Promise<void> => {
    await insertRows(query, key, rows);
    rows = [];
    onLoaded?.(count);
  };
  for (const { id, label, source, embedding, picture } of examples) {
    rows.push({
      ...{ position: count++, id, label, built_label: label, source, digest: null, removed: null },
      ...{ embedding, content: { picture } },
    });
    if (rows.length === rowsAtOnce) await flush();
  }
  await flush();
  return count;
}
