import { NearvoteError } from '../domain/errors.js';
import type { Change, ExampleContent } from '../examples/journal-record.js';
import type { ChangeRequest } from '../neighbours/changes.js';
import { idOf, type History, type PlannedState } from '../neighbours/plan-changes.js';
import type { Query } from './database.js';
import {
  changeColumns,
  parsePositioned,
  parseRow,
  readLabels,
  readRows,
  rowColumns,
  type Head,
  type KnownLabel,
  type PositionedChange,
  type StoredRow,
} from './records.js';
import { rowsTable } from './schema.js';

/** All that a request can touch of an index, read while nobody else can change it. */
export interface Loaded {
  /** Every row of the ids that the request can touch, those of deleted examples too, in the order of the index. */
  readonly rows: readonly StoredRow[];
  readonly labels: readonly KnownLabel[];
  /** Those that are taken back, newest first. */
  readonly changes: readonly PositionedChange[];
}

/** Reads what a request can touch. A plan is made by the rules of every other index, which ask one by one and at once. */
export async function loadFor(query: Query, head: Head, request: ChangeRequest): Promise<Loaded> {
  const { key } = head;
  const labels = await readLabels(query, key);
  const byId = async (ids: readonly string[], digests: readonly string[] = []): Promise<StoredRow[]> =>
    ids.length + digests.length === 0 ? [] : readRows(query, { key, ids, digests });
  switch (request.kind) {
    case 'add': {
      const { examples } = request;
      const given = examples.flatMap(({ id, digest, label }) => [id ?? idOf(digest, label)]);
      // An example keeps its id when it gets another label: any label that ever was may be in it.
      const asBuilt = examples.flatMap(({ digest }) => labels.map(({ label }) => idOf(digest, label)));
      const digests = examples.map(({ digest }) => digest);
      const rows = await byId([...new Set([...given, ...asBuilt])], digests);
      return { rows, labels, changes: [] };
    }
    case 'edit':
      return {
        rows: await byId(request.acts.map((act) => (act.kind === 'add' ? act.example.id : act.id))),
        labels,
        changes: [],
      };
    case 'rename': {
      const rows = await query(
        `select ${rowColumns} from ${rowsTable(key)} where removed is null and label = $1 order by position`,
        [request.from],
      );
      return { rows: rows.map(parseRow), labels, changes: [] };
    }
    case 'revert':
    case 'rollback': {
      const which =
        request.kind === 'rollback'
          ? 'sequence > $2'
          : 'operation = (select operation from nearvote.changes where index_key = $1 and sequence = $2)';
      const found = await query(
        `select ${changeColumns}, position from nearvote.changes where index_key = $1 and ${which} order by sequence desc`,
        [key, request.sequence],
      );
      const changes = found.map(parsePositioned);
      return { rows: await byId([...new Set(changes.map(({ id }) => id))]), labels, changes };
    }
  }
}

/** What was loaded, as a plan looks it up. */
export function planStateOf(
  head: Head,
  loaded: Loaded,
): { readonly state: PlannedState; readonly history: History } {
  const { rows, labels, changes } = loaded;
  const byPosition = new Map(rows.map((row) => [row.position, row]));
  const bySequence = new Map(changes.map((change) => [change.sequence, change]));
  const live = new Map(rows.filter(({ removed }) => removed === null).map((row) => [row.id, row]));
  const rowAt = (position: number): StoredRow => {
    const row = byPosition.get(position);
    if (row !== undefined) return row;
    throw new NearvoteError('internal', `Expected row ${position} of the index to be loaded but it is not`);
  };
  const contentOf = (row: StoredRow): ExampleContent => ({
    ...{ digest: row.digest, source: row.source, encoder: head.encoder },
    embedding: embeddingOf(row),
  });
  const state: PlannedState = {
    sequence: head.sequence,
    encoder: head.encoder,
    labels: new Map(labels.filter(({ examples }) => examples > 0).map((one) => [one.label, one.examples])),
    exampleAt: (position) => {
      const { id, label, source } = rowAt(position);
      return { id, label, source };
    },
    embeddingAt: (position) => embeddingOf(rowAt(position)),
    isAt: (position, content) => isContent(rowAt(position), content) && content.encoder === head.encoder,
    positionOf: (id) => live.get(id)?.position,
    positionsAfter: (position) =>
      [...live.values()].map((row) => row.position).filter((one) => one > position),
  };
  const history: History = {
    operation: () => [...changes].reverse().map(changeOf),
    content: (sequence) => {
      const change = bySequence.get(sequence);
      return change === undefined || change.kind === 'relabel'
        ? undefined
        : contentOf(rowAt(change.position));
    },
    digestOf: (id) => live.get(id)?.digest ?? undefined,
    idsOf: (digest) => rows.filter((row) => row.digest === digest).map(({ id }) => id),
    labels: () => labels.map(({ label }) => label),
    log: () => changes.map(changeOf),
  };
  return { state, history };
}

function changeOf(one: PositionedChange): Change {
  const { sequence, operation, at, kind, id, label, was, reason, who, reverts } = one;
  return { sequence, operation, at, kind, id, label, was, reason, who, reverts };
}

function embeddingOf({ embedding, id }: StoredRow): Float32Array {
  if (embedding !== undefined) return embedding;
  throw new NearvoteError('internal', `Expected the embedding of ${id} to be loaded but it is not`);
}

/** Whether a row is the example that a change says: another may have had its id. */
export function isContent(row: StoredRow, content: ExampleContent): boolean {
  const there = embeddingOf(row);
  return row.digest === content.digest && content.embedding.every((value, i) => value === there[i]);
}
