import { NearvoteError } from '../domain/errors.js';
import type { Database, Query } from './database.js';

/**
 * The steps that lead to the schema of today, in their order; one that was released is never altered. So few are run here
 * rather than by a library, which would bring its own table, files and connection.
 */
const steps: readonly string[] = [
  `create table nearvote.indexes (
    key integer generated always as identity primary key,
    name text not null unique,
    version text not null,
    manifest text not null,
    calibration text,
    encoder text not null,
    dimension integer not null,
    sequence bigint not null,
    next_position bigint not null,
    examples bigint not null,
    changed bigint not null
  );
  create table nearvote.labels (
    index_key integer not null references nearvote.indexes on delete cascade,
    label text not null,
    place bigint not null,
    examples bigint not null,
    primary key (index_key, label)
  );
  create table nearvote.changes (
    index_key integer not null references nearvote.indexes on delete cascade,
    sequence bigint not null,
    operation bigint not null,
    at timestamptz not null,
    kind text not null,
    id text not null,
    label text,
    was text,
    reason text,
    who text,
    reverts bigint,
    position bigint not null,
    request uuid not null,
    primary key (index_key, sequence)
  );
  create index changes_operation on nearvote.changes (index_key, operation);
  create index changes_id on nearvote.changes (index_key, id, sequence);`,
];

/** Of no meaning but that nobody else uses it. */
const migrationLock = 4_920_118_733;

/** The table of an index's examples; each has its own, since their dimensions differ. */
export const rowsTable = (key: number): string => `nearvote.rows_${key}`;

/** Brings the schema of a database to that of today; several may ask at once. */
export function migrate(database: Database): Promise<void> {
  return database.transaction('write', async (query) => {
    await query('select pg_advisory_xact_lock($1)', [migrationLock]);
    await query('create extension if not exists vector');
    await query('create schema if not exists nearvote');
    await query(
      'create table if not exists nearvote.steps (step integer primary key, at timestamptz not null)',
    );
    const done = await stepsDone(query);
    if (done > steps.length) throw newer(done);
    for (const [i, sql] of steps.slice(done).entries()) {
      await query(sql);
      await query('insert into nearvote.steps values ($1, now())', [done + i + 1]);
    }
  });
}

async function stepsDone(query: Query): Promise<number> {
  const [row] = await query('select coalesce(max(step), 0) as done from nearvote.steps');
  return Number(row?.['done']);
}

function newer(done: number): NearvoteError {
  return new NearvoteError(
    'database_unsuitable',
    `Expected a database whose schema this nearvote knows, up to step ${steps.length}, but it is at step ${done}`,
  );
}

const oldestServer = 140_000;
/** Before it, a vacuum could damage a graph that was searched; iterative scans came with 0.8.0. */
const oldestVector = [0, 8, 4] as const;

/**
 * Checks that a database can hold an index and be searched as the port promises.
 * @throws NearvoteError `database_unsuitable` naming what is wrong
 */
export async function checkDatabase(query: Query): Promise<void> {
  const [found] = await query(
    `select current_setting('server_version_num')::int as server, current_setting('server_version') as shown,
      (select extversion from pg_extension where extname = 'vector') as vector,
      to_regclass('nearvote.steps') is not null as prepared`,
  );
  if (Number(found?.['server']) < oldestServer) {
    throw unsuitable(`PostgreSQL 14 or newer but it is ${String(found?.['shown'])}`);
  }
  const vector = found?.['vector'];
  if (typeof vector !== 'string') {
    throw unsuitable('the extension vector (pgvector) but the database does not have it');
  }
  if (isOlder(vector)) throw unsuitable(`pgvector ${oldestVector.join('.')} or newer but it is ${vector}`);
  if (found?.['prepared'] !== true) {
    throw unsuitable('an index but this database has none; nearvote index load loads one');
  }
  const done = await stepsDone(query);
  if (done > steps.length) throw newer(done);
  if (done < steps.length) throw unsuitable(`its schema at step ${steps.length} but it is at step ${done}`);
  await checkSimilarity(query);
}

function isOlder(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [i, oldest] of oldestVector.entries()) {
    const part = parts[i] ?? 0;
    if (part !== oldest) return part < oldest;
  }
  return false;
}

/** Cosines of 1, 0.6, 0 and -1, by the operator that searches use: it gives the negative inner product. */
async function checkSimilarity(query: Query): Promise<void> {
  const [row] = await query(
    `select array(select -(other::vector <#> '[1,0]'::vector)
      from unnest(array['[1,0]', '[0.6,0.8]', '[0,1]', '[-1,0]']) with ordinality as one(other, i) order by i) as cosines`,
  );
  const cosines = row?.['cosines'];
  const wanted = [1, 0.6, 0, -1];
  const isRight =
    Array.isArray(cosines) &&
    wanted.every((cosine, i) => Math.abs(Number(cosines[i] as unknown) - cosine) < 1e-6);
  if (!isRight) throw unsuitable('pgvector to give known cosines but it gives others');
}

function unsuitable(what: string): NearvoteError {
  return new NearvoteError('database_unsuitable', `Expected a database with ${what}`);
}
