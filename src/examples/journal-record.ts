import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { floatsOfLittleEndian, littleEndianBytes } from '../files/float32.js';
import type { Sqlite, SqliteRow } from './sqlite.js';

export const changeKinds = ['add', 'relabel', 'delete', 'restore'] as const;

export type ChangeKind = (typeof changeKinds)[number];

/** An image file. */
export interface Picture {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/** All that an example is beside its id and label, so that a change can be taken back without any old version. */
export interface ExampleContent {
  /** Of the image's content, as hex; null where it is not known. */
  readonly digest: string | null;
  readonly source: string;
  /** The digest, in hex, of the encoder that made the embedding: to any other it is nothing. */
  readonly encoder: string;
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
  readonly picture?: Picture | undefined;
}

export interface ChangeDraft {
  readonly kind: ChangeKind;
  /** The example's. */
  readonly id: string;
  /** After the change; null for delete. */
  readonly label: string | null;
  /** Before the change; null for add and restore. */
  readonly was: string | null;
  /** Of add, delete and restore. */
  readonly content?: ExampleContent | undefined;
  /** Why, where that is not the reason of the whole operation. */
  readonly reason?: string | undefined;
}

/** A change as it was made. */
export interface Change extends Omit<ChangeDraft, 'content' | 'reason'> {
  readonly sequence: number;
  /** The sequence of the first of the changes that were made as one. */
  readonly operation: number;
  /** When, by the clock of whoever made it; the order is the sequence's. */
  readonly at: string;
  readonly reason: string | null;
  readonly who: string | null;
  /** The operation that it takes back. */
  readonly reverts: number | null;
}

/** A change as a log has it. */
export interface LoggedChange extends Change {
  /** Of its example, as a file name; absent where the change does not say it. */
  readonly source?: string | undefined;
}

/**
 * Columns of a table for a query. A text is asked for as its bytes: libsql ends the process where a damaged file has a text
 * that is not UTF-8.
 */
function columns(table: string, texts: readonly string[], others: readonly string[]): string {
  const asBytes = texts.map((column) => `cast(${table}.${column} as blob) as ${column}`);
  return [...asBytes, ...others.map((column) => `${table}.${column} as ${column}`)].join(', ');
}

/** For `parseChange`. */
export const changeColumns = columns(
  'changes',
  ['at', 'kind', 'id', 'label', 'was', 'reason', 'who', 'checksum'],
  ['sequence', 'operation', 'reverts', 'content'],
);

/** For `parseContent`; the picture is asked for apart, where it is needed. */
export const contentColumns = columns(
  'contents',
  ['digest', 'source', 'encoder', 'mediaType', 'pictureSha256', 'contentChecksum'],
  ['embedding'],
);

/** For `parseLogged`. */
export const sourceColumn = columns('contents', ['source'], []);

export const pictureColumn = 'contents.picture as picture';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const bytesSchema = z.instanceof(Uint8Array);

/** A text that was asked for as its bytes. */
export const textSchema = bytesSchema.transform((bytes, context) => {
  try {
    return utf8.decode(bytes);
  } catch {
    context.addIssue('Expected UTF-8');
    return z.NEVER;
  }
});

const changeSchema = z.object({
  sequence: z.int(),
  operation: z.int(),
  at: textSchema,
  kind: textSchema.pipe(z.enum(changeKinds)),
  id: textSchema,
  label: textSchema.nullable(),
  was: textSchema.nullable(),
  reason: textSchema.nullable(),
  who: textSchema.nullable(),
  reverts: z.int().nullable(),
});

const linkSchema = z.object({ content: z.int().nullable(), checksum: textSchema });

const contentSchema = z.object({
  digest: textSchema.nullable(),
  source: textSchema,
  encoder: textSchema,
  embedding: bytesSchema.transform(floatsOfLittleEndian),
  mediaType: textSchema.nullable(),
  pictureSha256: textSchema.nullable(),
  contentChecksum: textSchema,
  /** Absent where it was not asked for. */
  picture: bytesSchema.nullish(),
});

type StoredContent = z.infer<typeof contentSchema>;

function parse<T>(schema: z.ZodType<T>, row: SqliteRow): T {
  const parsed = schema.safeParse(row);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new NearvoteError(
    'index_invalid',
    wrongChange(Number(row['sequence']), `${field} is not what it may be`),
  );
}

/** @throws NearvoteError `index_invalid` naming the change */
export const parseChange = (row: SqliteRow): Change => parse(changeSchema, row);

const loggedSchema = changeSchema
  .extend({ source: textSchema.nullable() })
  .transform(({ source, ...change }): LoggedChange => (source === null ? change : { ...change, source }));

/** Of a row with `sourceColumn` too. @throws NearvoteError `index_invalid` naming the change */
export const parseLogged = (row: SqliteRow): LoggedChange => parse(loggedSchema, row);

/** @throws NearvoteError `index_invalid` for a label that is no text */
export const parseLabel = (row: SqliteRow): string => parse(z.object({ label: textSchema }), row).label;

export function wrongChange(sequence: number, why: string): string {
  return `Expected change ${sequence} of live.db as it was written but ${why}`;
}

const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The row of a content, without its key. */
export function contentRow({
  digest,
  source,
  encoder,
  embedding,
  picture,
}: ExampleContent): SqliteRow & KeptAs {
  const said = {
    digest: digest === null ? null : storable(digest),
    source: storable(source),
    encoder: storable(encoder),
    mediaType: picture === undefined ? null : storable(picture.mediaType),
    pictureSha256: picture === undefined ? null : sha256(picture.bytes),
  };
  return {
    ...said,
    embedding: littleEndianBytes(embedding),
    picture: picture?.bytes ?? null,
    contentChecksum: checksumOfContent({ ...said, embedding }),
  };
}

interface KeptAs {
  readonly contentChecksum: string;
}

/** Of the picture it needs the hash alone. */
function checksumOfContent(
  content: Omit<StoredContent, 'contentChecksum' | 'picture' | 'embedding'> &
    Pick<ExampleContent, 'embedding'>,
): string {
  const { digest, source, encoder, embedding, mediaType, pictureSha256 } = content;
  const values = sha256(littleEndianBytes(embedding));
  return sha256(JSON.stringify([digest, source, encoder, values, mediaType, pictureSha256]));
}

/**
 * The content of a row that has `sequence` and the columns of a content, and `picture` where that is wanted.
 * @throws NearvoteError `index_invalid` naming the change where it is not as it was written
 */
export function parseContent(row: SqliteRow): ExampleContent {
  const stored = parse(contentSchema, row);
  const { digest, source, encoder, embedding, mediaType, pictureSha256, contentChecksum, picture } = stored;
  const wrong = (what: string): NearvoteError =>
    new NearvoteError('index_invalid', wrongChange(Number(row['sequence']), what));
  if (checksumOfContent(stored) !== contentChecksum) throw wrong('what it says of its example is another');
  if (picture === undefined) return { digest, source, encoder, embedding };
  if ((picture === null ? null : sha256(picture)) !== pictureSha256) {
    throw wrong('the picture of its example is another');
  }
  const shown = picture === null || mediaType === null ? {} : { picture: { bytes: picture, mediaType } };
  return { digest, source, encoder, embedding, ...shown };
}

/** How far a journal goes. */
export interface Head {
  /** Of its last change. */
  readonly sequence: number;
  readonly checksum: string;
}

/** What the first change of a journal is chained to. */
export function chainStart(floor: number): string {
  return sha256(JSON.stringify(['nearvote journal', floor]));
}

/** The checksum of a change: of all that it says, of its content's and of the one before. */
export function checksumOfChange(change: Change, content: string | null, previous: string): string {
  const { sequence, operation, at, kind, id, label, was, reason, who, reverts } = change;
  return sha256(
    JSON.stringify([sequence, operation, at, kind, id, label, was, reason, who, reverts, content, previous]),
  );
}

/** A text as SQLite gives it back: it ends a text at NUL, and has no half of a surrogate pair. */
export function storable(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, '\ufffd');
}

export function storableOrNull(text: string | null): string | null {
  return text === null ? null : storable(text);
}

const pageRows = 256;

/** Some of the changes in a stretch of sequences, with their contents but no pictures, in order. */
export function changeRows(sqlite: Sqlite, after: number, last: number): readonly SqliteRow[] {
  return sqlite.all(
    `select ${changeColumns}, ${contentColumns}
    from changes left join contents on contents.key = changes.content
    where sequence > ? and sequence <= ? order by sequence limit ${pageRows}`,
    [after, last],
  );
}

/** The checksum that a row has, right or wrong. */
export const linkOf = (row: SqliteRow): Head => ({
  sequence: Number(row['sequence']),
  checksum: parse(linkSchema, row).checksum,
});

/** A change, and what it says of the example where it says anything; without its picture. */
export interface Replayed {
  readonly change: Change;
  readonly content: ExampleContent | undefined;
}

/**
 * Holds a row of `changeRows` against its checksums and the change before it.
 * @throws NearvoteError `index_invalid` naming the change that is not as it was written
 */
export function readChange(row: SqliteRow, before: Head): Replayed {
  const change = parseChange(row);
  const { sequence } = change;
  const wrong = (of: number, why: string): NearvoteError =>
    new NearvoteError('index_invalid', wrongChange(of, why));
  if (sequence !== before.sequence + 1) throw wrong(before.sequence + 1, 'it is gone');
  const { content: key, checksum } = parse(linkSchema, row);
  if (key !== null && row['contentChecksum'] === null) {
    throw wrong(sequence, 'what it says of its example is gone');
  }
  const content = key === null ? undefined : parseContent(row);
  const contentChecksum = textSchema.nullable().parse(row['contentChecksum']);
  if (checksumOfChange(change, contentChecksum, before.checksum) !== checksum) {
    throw wrong(sequence, 'it says something else, or does not follow the one before');
  }
  return { change, content };
}
