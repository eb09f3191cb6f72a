import { NearvoteError } from '../domain/errors.js';
import {
  storable,
  storableOrNull,
  type ChangeDraft,
  type ExampleContent,
} from '../examples/journal-record.js';
import type { Query } from './database.js';
import { isContent, type Loaded } from './plan-state.js';
import type { Head, KnownLabel, StoredRow } from './records.js';
import { rowsTable } from './schema.js';

export interface Operation {
  readonly head: Head;
  readonly loaded: Loaded;
  readonly drafts: readonly ChangeDraft[];
  readonly reason: string | null;
  readonly who: string | null;
  readonly reverts: number | null;
  /** The operation that it goes on with; one of its own unless told. */
  readonly continues: number | undefined;
  readonly at: Date;
  /** Tells this request from any other, should the answer to its commit be lost. */
  readonly request: string;
}

/** A row as the changes leave it. */
interface Touched extends StoredRow {
  /** The change that added it, where that is one of these. */
  readonly added?: number;
  readonly content?: ExampleContent;
}

/**
 * Writes changes and what they make of the rows, in the transaction that holds the index's head.
 * @returns the sequence of the operation
 */
export async function writeChanges(query: Query, operation: Operation): Promise<number> {
  const { head, loaded, drafts } = operation;
  const first = head.sequence + 1;
  const rows = new Map<number, Touched>(loaded.rows.map((row) => [row.position, row]));
  const byId = new Map<string, number[]>();
  for (const { id, position } of loaded.rows) byId.set(id, [...(byId.get(id) ?? []), position]);
  const labels = createLabelCounts(loaded.labels);
  let { next_position: next } = head;
  const positions = drafts.map((draft, i) => {
    const { id, label } = draft;
    const ofId = (byId.get(id) ?? []).flatMap((position) => rows.get(position) ?? []);
    const current = ofId.find(({ removed }) => removed === null);
    if (current !== undefined) {
      labels.add(current.label, -1);
      if (label !== null) labels.add(label, 1);
      const after = label === null ? { removed: first + i } : { label };
      rows.set(current.position, { ...current, ...after });
      return current.position;
    }
    const { content } = draft;
    if (label === null || content === undefined) {
      throw new NearvoteError('internal', `Expected example ${id} to be there but it is not`);
    }
    labels.add(label, 1);
    const former =
      draft.kind === 'restore' ? ofId.reverse().find((row) => isContent(row, content)) : undefined;
    const position = former?.position ?? next++;
    if (former === undefined) byId.set(id, [...(byId.get(id) ?? []), position]);
    const added = { added: first + i, content, built_label: null };
    rows.set(position, {
      ...(former ?? {
        ...added,
        digest: content.digest,
        source: content.source,
        embedding: content.embedding,
      }),
      ...{ position, id, label, removed: null },
    });
    return position;
  });
  await writeRows(query, head, { before: loaded.rows, after: [...rows.values()] });
  await labels.write(query, head.key);
  await insertChanges(query, operation, positions);
  const before = new Map(loaded.rows.map((row) => [row.position, row]));
  let changed = head.changed;
  for (const row of rows.values()) changed += changedOf(row) - changedOf(before.get(row.position));
  await query(
    `update nearvote.indexes set sequence = $2, next_position = $3, examples = examples + $4, changed = $5 where key = $1`,
    [head.key, head.sequence + drafts.length, next, labels.difference, changed],
  );
  return operation.continues ?? first;
}

/** 1 for a row that is not as it was loaded: what `IndexState.changed` counts. */
function changedOf(row: StoredRow | undefined): number {
  if (row === undefined) return 0;
  return row.removed === null && row.label === row.built_label ? 0 : 1;
}

interface LabelCounts {
  /** How many more examples there are now. */
  readonly difference: number;
  add(label: string, by: 1 | -1): void;
  write(query: Query, key: number): Promise<void>;
}

/** A label that comes back after all of its examples went is the last one, as it is where it is new. */
function createLabelCounts(known: readonly KnownLabel[]): LabelCounts {
  const labels = new Map(known.map((one) => [one.label, one]));
  const touched = new Set<string>();
  let place = Math.max(0, ...known.map((one) => one.place));
  let difference = 0;
  return {
    get difference() {
      return difference;
    },
    add: (label, by) => {
      const { examples = 0, place: at = 0 } = labels.get(label) ?? {};
      labels.set(label, { label, examples: examples + by, place: examples === 0 ? ++place : at });
      touched.add(label);
      difference += by;
    },
    write: async (query, key) => {
      const all = [...touched].flatMap((label) => labels.get(label) ?? []);
      await query(
        `insert into nearvote.labels (index_key, label, place, examples)
          select $1, * from unnest($2::text[], $3::bigint[], $4::bigint[])
          on conflict (index_key, label) do update set place = excluded.place, examples = excluded.examples`,
        [
          key,
          all.map(({ label }) => label),
          all.map((one) => one.place),
          all.map(({ examples }) => examples),
        ],
      );
    },
  };
}

interface RowsToWrite {
  readonly before: readonly StoredRow[];
  readonly after: readonly Touched[];
}

async function writeRows(query: Query, { key }: Head, { before, after }: RowsToWrite): Promise<void> {
  const table = rowsTable(key);
  const former = new Map(before.map((row) => [row.position, row]));
  const altered = after.filter((row) => {
    const was = former.get(row.position);
    return was !== undefined && (was.label !== row.label || was.removed !== row.removed);
  });
  // An id is that of one live row at any moment: what goes, goes first.
  for (const isGone of [true, false]) {
    const some = altered.filter(({ removed }) => (removed !== null) === isGone);
    if (some.length === 0) continue;
    await query(
      `update ${table} as one set label = new.label, removed = new.removed
        from unnest($1::bigint[], $2::text[], $3::bigint[]) as new(position, label, removed) where one.position = new.position`,
      [
        some.map(({ position }) => position),
        some.map(({ label }) => label),
        some.map(({ removed }) => removed),
      ],
    );
  }
  const added = after.filter(({ position }) => !former.has(position));
  await insertRows(query, key, added);
}

/** A row of the table of an index. */
export interface NewRow extends Omit<StoredRow, 'embedding'> {
  readonly embedding?: Float32Array | undefined;
  readonly added?: number;
  readonly content?: Pick<ExampleContent, 'picture'> | undefined;
}

export async function insertRows(query: Query, key: number, rows: readonly NewRow[]): Promise<void> {
  if (rows.length === 0) return;
  const columns = {
    position: ['bigint', rows.map(({ position }) => position)],
    id: ['text', rows.map(({ id }) => storable(id))],
    label: ['text', rows.map(({ label }) => storable(label))],
    built_label: ['text', rows.map((row) => storableOrNull(row.built_label))],
    source: ['text', rows.map(({ source }) => storable(source))],
    digest: ['text', rows.map(({ digest }) => digest)],
    embedding: ['text', rows.map(({ embedding = [] }) => `[${Array.from(embedding).join(',')}]`)],
    added: ['bigint', rows.map(({ added = 0 }) => added)],
    removed: ['bigint', rows.map(({ removed }) => removed)],
    media_type: ['text', rows.map(({ content }) => storableOrNull(content?.picture?.mediaType ?? null))],
    picture: ['bytea', rows.map(({ content }) => bytesOrNull(content?.picture?.bytes))],
  } as const;
  const names = Object.keys(columns);
  const parameters = Object.values(columns).map(([type], i) => `$${i + 1}::${type}[]`);
  await query(
    `insert into ${rowsTable(key)} (${names.join(', ')})
      select ${names.map((name) => (name === 'embedding' ? 'embedding::vector' : name)).join(', ')}
      from unnest(${parameters.join(', ')}) as new(${names.join(', ')})`,
    Object.values(columns).map(([, values]) => values),
  );
}

const bytesOrNull = (bytes: Uint8Array | undefined): Buffer | null =>
  bytes === undefined ? null : Buffer.from(bytes);

async function insertChanges(
  query: Query,
  operation: Operation,
  positions: readonly number[],
): Promise<void> {
  const { head, drafts, reason, who, reverts, continues, at, request } = operation;
  const first = head.sequence + 1;
  await query(
    `insert into nearvote.changes
      (index_key, operation, at, reverts, request, who, sequence, kind, id, label, was, reason, position)
      select $1, $2, $3, $4, $5, $6, * from
        unnest($7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[])`,
    [
      ...[head.key, continues ?? first, at, reverts, request, storableOrNull(who)],
      drafts.map((_, i) => first + i),
      drafts.map(({ kind }) => kind),
      drafts.map(({ id }) => id),
      drafts.map(({ label }) => label),
      drafts.map(({ was }) => was),
      drafts.map((draft) => storableOrNull(draft.reason ?? reason)),
      positions,
    ],
  );
}
