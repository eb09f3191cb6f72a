/* The one file that knows libsql, whose API is better-sqlite3's; node:sqlite can take its place here. */
import { statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type Database from 'libsql';
import { messageOf, NearvoteError, systemCodeOf } from '../domain/errors.js';

export type SqlValue = string | number | Uint8Array | null;

/** A row by the names of its columns. */
export type SqliteRow = Readonly<Record<string, SqlValue>>;

/** A connection to one SQLite file. Whatever SQLite refuses is a NearvoteError. */
export interface Sqlite {
  /** False where nobody can write beside the file, so that what another process writes later is not seen. */
  readonly isLive: boolean;
  all(sql: string, parameters?: readonly SqlValue[]): readonly SqliteRow[];
  /** The first row. */
  get(sql: string, parameters?: readonly SqlValue[]): SqliteRow | undefined;
  /** @returns the key of the row that was inserted */
  run(sql: string, parameters?: readonly SqlValue[]): number;
  /** All of it or nothing; on the disk when it returns. */
  transaction<T>(work: () => T): T;
  close(): void;
}

interface SqliteOptions {
  readonly path: string;
  /** `write` creates the file where there is none. */
  readonly access: 'read' | 'write';
  /** How long another process that writes is waited for. */
  readonly busyMs: number;
}

export type OpenSqlite = (options: SqliteOptions) => Sqlite;

/**
 * Loads SQLite.
 * @throws NearvoteError `dependency_missing` where libsql has no binary for this platform
 */
export async function loadSqlite(): Promise<OpenSqlite> {
  let module: typeof Database;
  try {
    ({ default: module } = await import('libsql'));
  } catch (cause) {
    throw new NearvoteError(
      'dependency_missing',
      `Expected libsql, which keeps the changes of an index, but it does not load on ${process.platform} ${process.arch}: ${messageOf(cause)}`,
      { cause },
    );
  }
  return (options) =>
    options.access === 'write' ? openToWrite(module, options) : openToRead(module, options);
}

function openToWrite(module: typeof Database, options: SqliteOptions): Sqlite {
  const sqlite = connect(module, { ...options, location: options.path, isLive: true });
  try {
    sqlite.get('pragma journal_mode = wal');
    sqlite.run('pragma synchronous = full');
    // SQLite passes over what follows a damage in the file beside: nothing is left there alone.
    sqlite.get('pragma wal_autocheckpoint = 1');
    return sqlite;
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

/** A reader has to write too, in a file beside: where it cannot, and nothing lies beside, the file alone is read as it is. */
function openToRead(module: typeof Database, options: SqliteOptions): Sqlite {
  const { href } = pathToFileURL(options.path);
  const live = connect(module, { ...options, location: `${href}?mode=ro`, isLive: true });
  try {
    live.get('select count(*) from sqlite_master');
    return live;
  } catch (error) {
    live.close();
    const kind = error instanceof NearvoteError ? kindOf(error.cause) : undefined;
    const isRefused = kind === kinds.readOnly || kind === kinds.cannotOpen;
    if (!isRefused || sizeOf(`${options.path}-wal`) > 0) throw error;
  }
  return connect(module, { ...options, location: `${href}?immutable=1`, isLive: false });
}

interface ConnectOptions extends SqliteOptions {
  readonly location: string;
  readonly isLive: boolean;
}

function connect(module: typeof Database, options: ConnectOptions): Sqlite {
  const { path, access, location, isLive, busyMs } = options;
  checkIsFile(path, access);
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      throw isLibsqlError(cause) ? explain(cause, path, access) : cause;
    }
  };
  const database = guarded(() => new module(location, { timeout: busyMs }));
  const prepared = new Map<string, Database.Statement>();

  function statement(sql: string): Database.Statement {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    const made = database.prepare(sql);
    prepared.set(sql, made);
    return made;
  }

  // Parameters go as one list: libsql takes a lone Buffer for named parameters and ends the process.
  return {
    isLive,
    all: (sql, parameters = []) =>
      guarded(() =>
        statement(sql)
          .all([...parameters])
          .map(plainRow),
      ),
    get: (sql, parameters = []) =>
      guarded(() => {
        const row = statement(sql).get([...parameters]);
        return row === undefined ? undefined : plainRow(row);
      }),
    run: (sql, parameters = []) => guarded(() => Number(statement(sql).run([...parameters]).lastInsertRowid)),
    transaction: (work) =>
      guarded(() => {
        // libsql's own transaction() reports a rollback that is not needed any more instead of what went wrong.
        database.exec('begin immediate');
        try {
          const result = work();
          database.exec('commit');
          return result;
        } catch (error) {
          if (database.inTransaction) database.exec('rollback');
          throw error;
        }
      }),
    close: () => {
      // The file stays open until its statements are collected as garbage: libsql has no other way.
      prepared.clear();
      database.close();
    },
  };
}

/** libsql puts `_metadata` into a row that comes alone, and gives blobs as Buffer there but as ArrayBuffer in a list. */
function plainRow(row: unknown): SqliteRow {
  const plain: Record<string, SqlValue> = {};
  for (const [column, value] of Object.entries(row as Record<string, SqlValue | ArrayBuffer>)) {
    if (column !== '_metadata') plain[column] = isBytes(value) ? bytesOf(value) : value;
  }
  return plain;
}

function isBytes(value: SqlValue | ArrayBuffer): value is Uint8Array | ArrayBuffer {
  return typeof value === 'object' && value !== null;
}

function bytesOf(value: Uint8Array | ArrayBuffer): Uint8Array {
  return value instanceof Uint8Array
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
}

/** SQLite waits for whoever writes to a FIFO, and says of a folder only that it cannot be opened. */
function checkIsFile(path: string, access: 'read' | 'write'): void {
  try {
    if (statSync(path).isFile()) return;
  } catch (cause) {
    if (access === 'write' && systemCodeOf(cause) === 'ENOENT') return;
    throw new NearvoteError('index_invalid', `Expected ${path} but it cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
  throw new NearvoteError('index_invalid', `Expected ${path} to be a file but it is something else`);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** SQLite's result codes, https://www.sqlite.org/rescode.html: libsql has names for few of them. */
const kinds = {
  error: 1,
  busy: 5,
  locked: 6,
  readOnly: 8,
  corrupt: 11,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

const damages: ReadonlySet<number> = new Set([kinds.error, kinds.corrupt, kinds.notADatabase]);

/** What it throws where a file cannot be opened is an Error with the code ''. */
function isLibsqlError(thrown: unknown): thrown is Error {
  return thrown instanceof Error && 'code' in thrown && !(thrown instanceof NearvoteError);
}

/** The low byte of a result code; the rest says more. */
function kindOf(thrown: unknown): number {
  if (!isLibsqlError(thrown)) return kinds.error;
  return 'rawCode' in thrown ? Number(thrown.rawCode) & 0xff : kinds.cannotOpen;
}

function explain(cause: Error, path: string, access: 'read' | 'write'): NearvoteError {
  const kind = kindOf(cause);
  if (kind === kinds.busy || kind === kinds.locked) {
    return new NearvoteError(
      access === 'write' ? 'output_unwritable' : 'not_ready',
      `Expected to ${access} ${path} but another process is writing it and did not end in time`,
      { cause },
    );
  }
  if (damages.has(kind)) {
    return new NearvoteError(
      'index_invalid',
      `Expected ${path} as nearvote writes it but it is damaged: ${cause.message}`,
      { cause },
    );
  }
  if (access === 'write') {
    return new NearvoteError('output_unwritable', `Expected to write ${path} but: ${cause.message}`, {
      cause,
    });
  }
  return new NearvoteError('index_invalid', `Expected ${path} but it cannot be read: ${cause.message}`, {
    cause,
  });
}
