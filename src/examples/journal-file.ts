import { statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { syncPath, writing } from '../files/durable.js';
import { parseJson } from './index-store.js';
import { chainStart, textSchema, type Head } from './journal-record.js';
import { loadSqlite, type OpenSqlite, type Sqlite } from './sqlite.js';

/** Of an index: its changes. */
export const journalFile = 'live.db';
/** 1 is the first. */
const schemaVersion = 1;
/** Another process that writes is waited for so long. */
const busyMs = 5_000;

/** Each is one statement. `contents` holds an example once, however often it is deleted and restored. */
const tables = [
  'create table meta (key text primary key, value text not null) strict',
  `create table contents (
    key integer primary key,
    contentChecksum text not null unique,
    digest text,
    source text not null,
    encoder text not null,
    embedding blob not null,
    mediaType text,
    pictureSha256 text,
    picture blob
  ) strict`,
  `create table changes (
    sequence integer primary key,
    operation integer not null,
    at text not null,
    kind text not null,
    id text not null,
    label text,
    was text,
    reason text,
    who text,
    reverts integer,
    content integer references contents (key),
    checksum text not null
  ) strict`,
  'create index changes_of_example on changes (id, sequence)',
  'create index changes_of_operation on changes (operation)',
  'create index changes_of_content on changes (content)',
  'create index contents_of_image on contents (digest)',
];

export interface JournalFileOptions {
  /** `index/NAME`. */
  readonly root: string;
  /** The version's sequence: it holds all changes up to it, and a new journal begins after it. */
  readonly floor: number;
  /** `read` creates nothing, and sees what another process appends. */
  readonly access: 'read' | 'write';
}

/**
 * Opens `index/NAME/live.db`.
 * @throws NearvoteError as `openJournal`
 */
export async function openJournalFile(options: JournalFileOptions): Promise<JournalFile> {
  const path = join(options.root, journalFile);
  const openSqlite = await loadSqlite();
  return options.access === 'write'
    ? openForWriting(openSqlite, path, options)
    : watch(openSqlite, path, options);
}

/** Where a journal's rows come from. */
export interface JournalFile {
  /** Undefined where there is no journal yet. */
  readonly current: () => Sqlite | undefined;
  /** @throws NearvoteError `output_unwritable` where what would be written is in no file that anybody finds again */
  readonly assertInPlace: () => void;
  readonly close: () => void;
}

async function openForWriting(
  openSqlite: OpenSqlite,
  path: string,
  options: JournalFileOptions,
): Promise<JournalFile> {
  const sqlite = openSqlite({ path, access: 'write', busyMs });
  try {
    sqlite.transaction(() => {
      if (!hasTables(sqlite)) createTables(sqlite, options.floor);
    });
    checkMeta(sqlite, options);
    await writing(options.root, () => syncPath(options.root));
  } catch (error) {
    sqlite.close();
    throw error;
  }
  const place = fileIdentity(path)?.place;
  return {
    current: () => sqlite,
    assertInPlace: () => {
      if (fileIdentity(path)?.place === place) return;
      throw new NearvoteError(
        'output_unwritable',
        `Expected ${path} as it was opened but it was removed or replaced meanwhile; what is written to the former file would be lost`,
      );
    },
    close: () => {
      try {
        // So that the file is whole for whoever copies it alone.
        sqlite.get('pragma wal_checkpoint(truncate)');
      } catch {
        // All changes are on the disk, if not in this file: the next one that opens it finds them.
      } finally {
        sqlite.close();
      }
    },
  };
}

/** A reader's connection: opened once there is a file, and again where another one took its place. */
function watch(openSqlite: OpenSqlite, path: string, options: JournalFileOptions): JournalFile {
  let sqlite: Sqlite | undefined;
  let seen: string | undefined;
  const close = (): void => {
    sqlite?.close();
    sqlite = undefined;
    seen = undefined;
  };
  const current = (): Sqlite | undefined => {
    const file = fileIdentity(path);
    if (sqlite !== undefined && seen === (sqlite.isLive ? file?.place : file?.state)) return sqlite;
    close();
    if (file === undefined) return undefined;
    const opened = openSqlite({ path, access: 'read', busyMs });
    try {
      if (!hasTables(opened)) {
        opened.close();
        return undefined;
      }
      checkMeta(opened, options);
    } catch (error) {
      opened.close();
      throw error;
    }
    sqlite = opened;
    seen = opened.isLive ? file.place : file.state;
    return sqlite;
  };
  current();
  return { current, assertInPlace: () => undefined, close };
}

interface FileIdentity {
  /** Another where the file is another. */
  readonly place: string;
  /** Another where its content may be another. */
  readonly state: string;
}

function fileIdentity(path: string): FileIdentity | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const beside = statSync(`${path}-wal`, { throwIfNoEntry: false });
  const place = `${found.dev}:${found.ino}`;
  return { place, state: [place, found.size, found.mtimeMs, beside?.size ?? 0].join(':') };
}

/**
 * Whether the journal was begun; a process that was killed before leaves a file without tables.
 * @throws NearvoteError `index_invalid` where some are missing
 */
function hasTables(sqlite: Sqlite): boolean {
  const found = sqlite.get(
    "select count(*) as entries, sum(name in ('meta', 'contents', 'changes')) as known from sqlite_master",
  );
  if (found?.['entries'] === 0) return false;
  if (found?.['known'] === 3) return true;
  throw new NearvoteError(
    'index_invalid',
    'Expected live.db to have the tables of a journal but some are missing',
  );
}

function createTables(sqlite: Sqlite, floor: number): void {
  const start: Head = { sequence: floor, checksum: chainStart(floor) };
  for (const table of tables) sqlite.run(table);
  const insert = 'insert into meta (key, value) values (?, ?)';
  sqlite.run(insert, ['schemaVersion', String(schemaVersion)]);
  sqlite.run(insert, ['floor', String(floor)]);
  sqlite.run(insert, ['head', JSON.stringify(start)]);
}

const count = textSchema.pipe(z.string().regex(/^\d{1,15}$/)).transform(Number);
const headSchema = z.object({ sequence: z.int().min(0), checksum: z.string() });

function readMeta<T>(sqlite: Sqlite, key: string, schema: z.ZodType<T>): T {
  const row = sqlite.get('select cast(value as blob) as value from meta where key = ?', [key]);
  const parsed = schema.safeParse(row?.['value']);
  if (parsed.success) return parsed.data;
  throw new NearvoteError(
    'index_invalid',
    `Expected live.db to say its ${key} but it is missing or not what it may be`,
  );
}

const headText = textSchema.transform(parseJson).pipe(headSchema);

/** The last change, or what the first one will be chained to. */
export function readHead(sqlite: Sqlite): Head {
  return readMeta(sqlite, 'head', headText);
}

/** The sequence after which the journal begins. */
export function readFloor(sqlite: Sqlite): number {
  return readMeta(sqlite, 'floor', count);
}

export function writeHead(sqlite: Sqlite, head: Head): void {
  sqlite.run("update meta set value = ? where key = 'head'", [JSON.stringify(head)]);
}

/** Changes that a version does not hold must all be in its journal. */
function checkMeta(sqlite: Sqlite, { root, floor }: JournalFileOptions): void {
  const schema = readMeta(sqlite, 'schemaVersion', count);
  if (schema !== schemaVersion) {
    throw new NearvoteError(
      'index_invalid',
      `Expected live.db of ${root} to have schema ${schemaVersion} but it has ${schema}: another version of nearvote wrote it`,
    );
  }
  const begin = readFloor(sqlite);
  const { sequence } = readHead(sqlite);
  if (begin > floor || sequence < floor) {
    throw new NearvoteError(
      'index_invalid',
      `Expected live.db of ${root} to hold the changes after sequence ${floor}, up to which the version served holds them, but it holds those from ${begin + 1} to ${sequence}: it belongs to another version`,
    );
  }
}
