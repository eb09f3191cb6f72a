import { asEmbeddings } from '../domain/embeddings.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { readFloor, readHead } from './journal-file.js';
import {
  chainStart,
  changeRows,
  contentColumns,
  linkOf,
  parseContent,
  pictureColumn,
  readChange,
  textSchema,
  wrongChange,
} from './journal-record.js';
import type { Sqlite, SqliteRow } from './sqlite.js';

export interface JournalFindings {
  readonly changes: number;
  /** Sentences, each naming what is wrong; none where all is well. */
  readonly defects: readonly string[];
}

/** More would be the same defect again and again. */
const mostDefects = 20;

/** Looks at all that a journal holds: SQLite's own pages, the chain of its changes, and what each says of its example. */
export function verifyJournal(sqlite: Sqlite, dimension: number): JournalFindings {
  const defects = new Set<string>();
  let changes = 0;
  const look = (work: () => void): void => {
    const defect = defectIn(work);
    if (defect !== undefined) defects.add(defect);
  };
  look(() => {
    for (const found of pageDefects(sqlite)) defects.add(found);
  });
  look(() => {
    for (const defect of chainDefects(sqlite)) {
      if (defect === undefined) changes++;
      else if (defects.size < mostDefects) defects.add(defect);
    }
  });
  look(() => {
    for (const defect of contentDefects(sqlite, dimension)) {
      if (defects.size < mostDefects) defects.add(defect);
    }
  });
  return { changes, defects: [...defects] };
}

/** What a work finds that it cannot go on with. */
function defectIn(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'index_invalid') return error.message;
    throw error;
  }
}

function pageDefects(sqlite: Sqlite): string[] {
  const rows = sqlite.all(
    `select cast(integrity_check as blob) as found from pragma_integrity_check(${mostDefects})`,
  );
  return rows.flatMap(({ found }) => {
    const text = textSchema.safeParse(found).data ?? 'a text that is none';
    return text === 'ok' ? [] : [`Expected live.db to be whole but SQLite finds: ${text}`];
  });
}

/** What is wrong with each change, undefined where nothing is: one that is broken breaks no other here. */
function* chainDefects(sqlite: Sqlite): Generator<string | undefined> {
  const head = readHead(sqlite);
  const floor = readFloor(sqlite);
  let before = { sequence: floor, checksum: chainStart(floor) };
  while (before.sequence < head.sequence) {
    const rows = changeRows(sqlite, before.sequence, head.sequence);
    if (rows.length === 0) {
      yield wrongChange(before.sequence + 1, 'it is gone');
      return;
    }
    for (const row of rows) {
      const previous = before;
      yield defectIn(() => readChange(row, previous));
      before = linkOf(row);
      // In a damaged file they need not come in order: this would have no end.
      if (before.sequence <= previous.sequence) return;
    }
  }
  if (before.checksum !== head.checksum)
    yield wrongChange(before.sequence, 'it is not the one that came last');
}

/** One at a time: each may have a large picture. */
function* contentDefects(sqlite: Sqlite, dimension: number): Generator<string> {
  let key = 0;
  for (;;) {
    const row = sqlite.get(
      `select ${contentColumns}, ${pictureColumn}, contents.key as key, (select min(sequence) from changes where content = key) as sequence
      from contents where key > ? order by key limit 1`,
      [key],
    );
    if (row === undefined) return;
    if (!(Number(row['key']) > key)) {
      yield 'Expected live.db to hold contents of examples in their order but it is damaged';
      return;
    }
    key = Number(row['key']);
    const defect = defectIn(() => checkContent(row, dimension));
    if (defect !== undefined) yield defect;
  }
}

function checkContent(row: SqliteRow, dimension: number): void {
  const { embedding } = parseContent(row);
  const wrong = (why: string): NearvoteError =>
    new NearvoteError('index_invalid', wrongChange(Number(row['sequence']), why));
  if (embedding.length !== dimension) {
    throw wrong(`its embedding has ${embedding.length} values where the index has ${dimension}`);
  }
  try {
    asEmbeddings(embedding, dimension);
  } catch (error) {
    throw wrong(messageOf(error));
  }
}
