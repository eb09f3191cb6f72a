import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { noneLabel, type Decision } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { floatsOfLittleEndian, littleEndianBytes } from '../files/float32.js';
import type { Picture } from './journal-record.js';
import { mostUsefulFirst } from './review-order.js';
import { loadSqlite, type Sqlite, type SqliteRow, type SqlValue } from './sqlite.js';

/** Of an index: the decisions that were made lately, beside its journal so that neither can hurt the other. */
const keptDecisionsFile = 'review.db';

/** A decision with all that it takes to make an example of its image. */
export interface KeptDecision {
  readonly decision: Decision;
  readonly at: Date;
  /** Of the image's content, as hex. */
  readonly digest: string;
  /** Of the encoder that made the embedding, as hex. */
  readonly encoder: string;
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
  readonly picture: Picture;
}

/** What is kept: the oldest go where any bound is passed. */
export interface KeptBounds {
  readonly most: number;
  readonly mostMs: number;
  /** Of decisions, embeddings and pictures together; 1 GiB unless told. */
  readonly mostBytes?: number | undefined;
}

export interface KeptDecisionsOptions extends KeptBounds {
  /** `index/NAME`. */
  readonly root: string;
  readonly now: () => Date;
}

export interface ReviewQuery {
  /** Known images with a confidence below this are asked about too. */
  readonly below: number;
  readonly limit: number;
}

export interface ReviewPage {
  /** Most useful first. */
  readonly decisions: readonly (Pick<KeptDecision, 'decision'> & { readonly at: string })[];
  /** How many images wait in all. */
  readonly waiting: number;
}

/** The decisions that a server made lately: `index/NAME/review.db`. */
export interface KeptDecisions {
  /** All of them or none; on the disk when it returns. Those that are too old, or too many, go. */
  keep(decisions: readonly KeptDecision[]): void;
  /** With its picture; undefined where it is not kept, or not any more. */
  find(id: string): KeptDecision | undefined;
  /** The decisions that a person should look at, one an image, without those that were answered. */
  review(asked: ReviewQuery): ReviewPage;
  /** The image with this digest is not asked about again. */
  answered(digest: string): void;
  forgetOld(): void;
  close(): void;
}

const schemaVersion = 1;
/** Another server of the same index that writes is waited for so long. */
const busyMs = 5_000;
const defaultMostBytes = 1 << 30;
/** Of images that are not asked about again; 32 bytes each. */
const mostAnswered = 100_000;
/** The most uncertain of these many images are put in order: a page of 100 takes half a second then. */
const mostCandidates = 5_000;

/** Texts are kept as bytes: libsql ends the process where a damaged file has a text that is not UTF-8. */
const tables = [
  `create table if not exists kept (
    key integer primary key autoincrement,
    id blob not null unique,
    at integer not null,
    digest blob not null,
    encoder blob not null,
    rejected integer not null,
    confidence real not null,
    uncertainty real not null,
    decision blob not null,
    embedding blob not null,
    mediaType blob not null,
    picture blob not null,
    bytes integer not null
  ) strict`,
  'create index if not exists kept_of_image on kept (digest, key)',
  'create index if not exists kept_bytes on kept (key, at, bytes)',
  `create table if not exists answered (
    key integer primary key autoincrement,
    digest blob not null unique
  ) strict`,
  `pragma user_version = ${schemaVersion}`,
];

/**
 * Opens what was kept of the decisions of an index, or begins anew.
 * @throws NearvoteError `index_invalid` where it is damaged or of a newer nearvote, `output_unwritable`,
 * `dependency_missing`
 */
export async function openKeptDecisions(options: KeptDecisionsOptions): Promise<KeptDecisions> {
  const openSqlite = await loadSqlite();
  const path = join(options.root, keptDecisionsFile);
  const sqlite = openSqlite({ path, access: 'write', busyMs });
  try {
    // Pictures are people's: what is left out is overwritten.
    sqlite.get('pragma secure_delete = on');
    checkVersion(sqlite, path);
    sqlite.transaction(() => tables.forEach((table) => sqlite.run(table)));
    const kept = createKeptDecisions(sqlite, options);
    kept.forgetOld();
    return kept;
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

/** Puts a damaged file out of the way. @returns where it lies now */
export async function setAsideKeptDecisions(root: string, now: Date): Promise<string> {
  const path = join(root, keptDecisionsFile);
  const aside = `${path}.damaged-${now.getTime()}`;
  await rename(path, aside);
  // Without their file they are of no use, and would spoil the next one.
  for (const beside of ['-wal', '-shm']) {
    await rename(`${path}${beside}`, `${aside}${beside}`).catch(() => undefined);
  }
  return aside;
}

function checkVersion(sqlite: Sqlite, path: string): void {
  const version = Number(sqlite.get('pragma user_version')?.['user_version']);
  if (version === 0 || version === schemaVersion) return;
  throw new NearvoteError(
    'index_invalid',
    `Expected ${path} to have schema ${schemaVersion} but it has ${version}: another version of nearvote wrote it`,
  );
}

function createKeptDecisions(sqlite: Sqlite, options: KeptDecisionsOptions): KeptDecisions {
  const { most, mostMs, mostBytes = defaultMostBytes, now } = options;

  function trim(): void {
    sqlite.run('delete from kept where at < ?', [now().getTime() - mostMs]);
    sqlite.run('delete from kept where key not in (select key from kept order by key desc limit ?)', [most]);
    sqlite.run(
      `delete from kept where key in (
        select key from (select key, sum(bytes) over (order by key desc) as total from kept) where total > ?
      )`,
      [mostBytes],
    );
    sqlite.run('delete from answered where key <= (select max(key) from answered) - ?', [mostAnswered]);
  }

  return {
    keep: (decisions) =>
      sqlite.transaction(() => {
        for (const one of decisions) insert(sqlite, one);
        trim();
      }),

    find: (id) => {
      const row = sqlite.get('select * from kept where id = ?', [Buffer.from(id)]);
      return row === undefined ? undefined : keptOf(row);
    },

    review: ({ below, limit }) => {
      const waiting = `from kept
        where (rejected = 1 or confidence < ?)
        and key in (select max(key) from kept group by digest)
        and digest not in (select digest from answered)`;
      const candidates = sqlite
        .all(
          `select key, uncertainty, embedding ${waiting} order by uncertainty desc, key desc limit ${mostCandidates}`,
          [below],
        )
        .map((row) => candidateSchema.parse(row));
      const decisions = mostUsefulFirst(candidates, limit).flatMap(({ key }) => {
        const row = sqlite.get('select at, decision from kept where key = ?', [key]);
        return row === undefined ? [] : [shownSchema.parse(row)];
      });
      return {
        decisions,
        waiting: Number(sqlite.get(`select count(*) as count ${waiting}`, [below])?.['count']),
      };
    },

    answered: (digest) => {
      sqlite.run('insert or ignore into answered (digest) values (?)', [Buffer.from(digest, 'hex')]);
    },

    forgetOld: () => sqlite.transaction(trim),

    close: () => sqlite.close(),
  };
}

function insert(sqlite: Sqlite, { decision, at, digest, encoder, embedding, picture }: KeptDecision): void {
  const { id, confidence, label, outcome } = decision;
  const words = Buffer.from(JSON.stringify(decision));
  const row: Readonly<Record<string, SqlValue>> = {
    id: Buffer.from(id),
    at: at.getTime(),
    digest: Buffer.from(digest, 'hex'),
    encoder: Buffer.from(encoder, 'hex'),
    // What is none of the labels by what a person has shown is no question, unless the vote is close.
    rejected: outcome === 'unknown' && label !== noneLabel ? 1 : 0,
    confidence,
    uncertainty: uncertaintyOf(decision),
    decision: words,
    embedding: littleEndianBytes(embedding),
    mediaType: Buffer.from(picture.mediaType),
    picture: picture.bytes,
    bytes: words.length + 4 * embedding.length + picture.bytes.length,
  };
  const columns = Object.keys(row);
  sqlite.run(
    `insert or ignore into kept (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`,
    Object.values(row),
  );
}

/** From 0 to 1: how little was known of what was asked. */
function uncertaintyOf({ label, outcome, confidence, pValue }: Decision): number {
  return 1 - (outcome === 'unknown' && label !== noneLabel && pValue !== undefined ? pValue : confidence);
}

const bytes = z.instanceof(Uint8Array);
const text = bytes.transform((value) => new TextDecoder().decode(value));
const hex = bytes.transform((value) => Buffer.from(value).toString('hex'));
const time = z.number().transform((ms) => new Date(ms));
const decision = text.transform((json) => JSON.parse(json) as Decision);
const embedding = bytes.transform(floatsOfLittleEndian);

const candidateSchema = z.object({ key: z.number(), uncertainty: z.number(), embedding });
const shownSchema = z.object({ at: time.transform((at) => at.toISOString()), decision });
const keptSchema = z.object({
  ...{ decision, at: time, digest: hex, encoder: hex, embedding },
  mediaType: text,
  picture: bytes,
});

function keptOf(row: SqliteRow): KeptDecision {
  const { mediaType, picture, ...kept } = keptSchema.parse(row);
  return { ...kept, picture: { bytes: picture, mediaType } };
}
