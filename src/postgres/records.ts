import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { changeKinds, type Change, type LoggedChange } from '../examples/journal-record.js';
import type { IndexState } from '../neighbours/neighbours.js';
import type { Query, Row } from './database.js';
import { rowsTable } from './schema.js';

/* What the tables hold, as it is read from them. */

/** PostgreSQL's bigint comes as text; here none goes past 2^53. */
const count = z.coerce.number().int();

const headSchema = z.object({
  key: z.int(),
  name: z.string(),
  version: z.string(),
  manifest: z.string(),
  calibration: z.string().nullable(),
  encoder: z.string(),
  dimension: z.int(),
  sequence: count,
  next_position: count,
  examples: count,
  changed: count,
});

/** An index as its row in `nearvote.indexes` has it. */
export type Head = z.infer<typeof headSchema>;

const labelSchema = z.object({ label: z.string(), place: count, examples: count });

/** A label that the index has or ever had. */
export type KnownLabel = z.infer<typeof labelSchema>;

const changeSchema = z.object({
  sequence: count,
  operation: count,
  at: z.date().transform((at) => at.toISOString()),
  kind: z.enum(changeKinds),
  id: z.string(),
  label: z.string().nullable(),
  was: z.string().nullable(),
  reason: z.string().nullable(),
  who: z.string().nullable(),
  reverts: count.nullable(),
});

const loggedSchema = changeSchema
  .extend({ source: z.string().nullable() })
  .transform(({ source, ...change }): LoggedChange => (source === null ? change : { ...change, source }));

const positionedSchema = changeSchema.extend({ position: count });

/** A change and the row that it changed. */
export type PositionedChange = z.infer<typeof positionedSchema>;

/** As `vector_send` gives a vector: how many values there are, two bytes of nothing, and big-endian floats. */
const vectorSchema = z.instanceof(Uint8Array).transform((bytes): Float32Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const vector = new Float32Array(view.getUint16(0));
  for (let i = 0; i < vector.length; i++) vector[i] = view.getFloat32(4 + 4 * i);
  return vector;
});

/** As `vector_recv` takes a vector: the other way of `vectorSchema`. */
export function vectorBytes(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(4 + 4 * vector.length);
  bytes.writeUInt16BE(vector.length);
  for (const [i, value] of vector.entries()) bytes.writeFloatBE(value, 4 + 4 * i);
  return bytes;
}

const rowSchema = z.object({
  position: count,
  id: z.string(),
  label: z.string(),
  /** The label that it was loaded with; null for one that a change has added. */
  built_label: z.string().nullable(),
  source: z.string(),
  digest: z.string().nullable(),
  removed: count.nullable(),
  /** Absent where it was not asked for. */
  embedding: vectorSchema.optional(),
});

/** An example, or what was one, without its picture. */
export type StoredRow = z.infer<typeof rowSchema>;

const foundSchema = z.object({
  position: count,
  id: z.string(),
  label: z.string(),
  source: z.string(),
  /** As pgvector has it: negative, in single precision. */
  product: z.number(),
  /** Null where that is enough. */
  embedding: vectorSchema.nullable(),
});

/** An example that a search found. */
export type Found = z.infer<typeof foundSchema>;

const stateSchema = headSchema.pick({ sequence: true, examples: true, changed: true });
/** What was searched; without labels where they are known. */
const searchedSchema = stateSchema.extend({ labels: z.array(labelSchema).nullable() });

const exampleSchema = z.object({ id: z.string(), label: z.string(), source: z.string() });
const listedSchema = exampleSchema.extend({ position: count });
const pictureSchema = z.object({
  picture: z.instanceof(Uint8Array).nullable(),
  media_type: z.string().nullable(),
});

function parser<T>(schema: z.ZodType<T>): (row: Row | undefined) => T {
  return (row) => {
    const parsed = schema.safeParse(row);
    if (parsed.success) return parsed.data;
    const field = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new NearvoteError(
      'index_invalid',
      `Expected the tables of an index but ${field} is not what it may be`,
    );
  };
}

/** Each @throws NearvoteError `index_invalid` */
const parseHead = parser(headSchema);
const parseLabel = parser(labelSchema);
export const parseChange: (row: Row | undefined) => Change = parser(changeSchema);
export const parseLogged: (row: Row | undefined) => LoggedChange = parser(loggedSchema);
export const parsePositioned = parser(positionedSchema);
export const parseRow = parser(rowSchema);
export const parseFound = parser(foundSchema);
export const parseExample = parser(exampleSchema);
export const parseListed = parser(listedSchema);
export const parsePicture = parser(pictureSchema);
export const parseSearched = parser(searchedSchema);

export const changeColumns = 'sequence, operation, at, kind, id, label, was, reason, who, reverts';

export const rowColumns = 'position, id, label, built_label, source, digest, removed';

/** @throws NearvoteError `index_missing` */
export async function readHead(query: Query, name: string, lock: '' | 'for update' = ''): Promise<Head> {
  const [row] = await query(`select * from nearvote.indexes where name = $1 ${lock}`, [name]);
  if (row !== undefined) return parseHead(row);
  throw new NearvoteError(
    'index_missing',
    `Expected an index called ${name} in this database but there is none; nearvote index load FOLDER --to URL loads one`,
  );
}

/** In the order of the index. */
export async function readLabels(query: Query, key: number): Promise<KnownLabel[]> {
  const rows = await query(
    'select label, place, examples from nearvote.labels where index_key = $1 order by place',
    [key],
  );
  return rows.map(parseLabel);
}

export function stateOf(
  { sequence, examples, changed }: Pick<Head, 'sequence' | 'examples' | 'changed'>,
  labels: readonly KnownLabel[],
): IndexState {
  const live = labels.filter((one) => one.examples > 0);
  return {
    ...{ sequence, examples, changed },
    labels: live.map((one) => ({ label: one.label, examples: one.examples })),
  };
}

/** Of examples and of what was one, by id or by image, in the order of the index. */
export async function readRows(
  query: Query,
  {
    key,
    ids,
    digests,
  }: { readonly key: number; readonly ids: readonly string[]; readonly digests: readonly string[] },
): Promise<StoredRow[]> {
  const rows = await query(
    `select ${rowColumns}, vector_send(embedding) as embedding from ${rowsTable(key)}
      where id = any($1::text[]) or digest = any($2::text[]) order by position`,
    [ids, digests],
  );
  return rows.map(parseRow);
}
