import { asEmbeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import {
  openJournalFile,
  readFloor,
  readHead,
  writeHead,
  type JournalFile,
  type JournalFileOptions,
} from './journal-file.js';
import {
  chainStart,
  changeColumns,
  changeRows,
  checksumOfChange,
  contentColumns,
  contentRow,
  linkOf,
  parseChange,
  parseContent,
  parseLabel,
  parseLogged,
  pictureColumn,
  sourceColumn,
  readChange,
  storable,
  storableOrNull,
  wrongChange,
  type Change,
  type ChangeDraft,
  type ExampleContent,
  type LoggedChange,
  type Picture,
  type Replayed,
} from './journal-record.js';
import type { Sqlite, SqlValue } from './sqlite.js';
import { verifyJournal, type JournalFindings } from './verify-journal.js';

/** Changes that are made as one: all of them or none. */
export interface OperationDraft {
  readonly changes: readonly ChangeDraft[];
  readonly reason: string | null;
  readonly who: string | null;
  /** The operation that it takes back. */
  readonly reverts?: number | null | undefined;
  /** The last change that whoever planned it knew; whatever that is unless told. */
  readonly after?: number | undefined;
  /** The operation that it goes on with; one of its own unless told. */
  readonly continues?: number | undefined;
}

export interface JournalOptions extends JournalFileOptions {
  readonly now: () => Date;
}

interface LogQuery {
  /** Only changes before this sequence: the last of the page before. */
  readonly before?: number | undefined;
  /** Only changes after this sequence. */
  readonly after?: number | undefined;
  /** Only changes of this example. */
  readonly id?: string | undefined;
  readonly limit: number;
}

/** The changes of an index since its first version, in order: `index/NAME/live.db`. */
export interface Journal extends Disposable {
  /** The sequence of the last change; the floor where there is none. */
  readonly head: number;
  /**
   * Appends changes as one operation; they are on the disk when it returns.
   * @throws NearvoteError `output_unwritable` for what the file system refuses, and where the file was removed or
   * replaced, `index_readonly` where another process has appended since: then nothing was appended
   */
  append(operation: OperationDraft): readonly Change[];
  /**
   * The changes after a sequence in their order, each held against its checksum.
   * @throws NearvoteError `index_invalid` naming the change that is not as it was written
   */
  replay(after: number): Generator<Replayed>;
  /** Changes, newest first. */
  log(asked: LogQuery): readonly LoggedChange[];
  /** The changes that were made as one with that of a sequence, in order; none where there is no such change. */
  operation(sequence: number): readonly Change[];
  /**
   * What a change says of its example, with its picture; undefined where it says nothing.
   * @throws NearvoteError `index_invalid` where it is not as it was written
   */
  content(sequence: number): ExampleContent | undefined;
  /** The digest of an example's image as its last change left it; undefined where none was added with it. */
  digestOf(id: string): string | undefined;
  /** The ids of the examples that were ever added with an image. */
  idsOf(digest: string): readonly string[];
  /** Of that image, where it was kept. */
  pictureOf(id: string): Picture | undefined;
  /** Every label that a change has given or taken. */
  labels(): readonly string[];
  /** Looks at all there is; the dimension is the index's. */
  verify(asked: { readonly dimension: number }): JournalFindings;
  close(): void;
}

/**
 * Opens the journal of an index. `write` is for the one process that may change the index.
 * @throws NearvoteError `index_invalid` where it is damaged, of a newer nearvote or of another version of the index,
 * `output_unwritable`, `not_ready` where another process held it for too long, `dependency_missing`
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  return createJournal(await openJournalFile(options), options);
}

function createJournal(file: JournalFile, { floor, access, now }: JournalOptions): Journal {
  function* replay(after: number): Generator<Replayed> {
    const sqlite = file.current();
    if (sqlite === undefined) return;
    // What is appended meanwhile is for the next replay.
    const head = readHead(sqlite);
    let before = { sequence: after, checksum: checksumAt(sqlite, after) };
    while (before.sequence < head.sequence) {
      const rows = changeRows(sqlite, before.sequence, head.sequence);
      if (rows.length === 0) {
        throw new NearvoteError('index_invalid', wrongChange(before.sequence + 1, 'it is gone'));
      }
      for (const row of rows) {
        yield readChange(row, before);
        before = linkOf(row);
      }
    }
    if (before.sequence === head.sequence && before.checksum !== head.checksum) {
      throw new NearvoteError(
        'index_invalid',
        wrongChange(before.sequence, 'it is not the one that came last'),
      );
    }
  }

  function append(draft: OperationDraft): readonly Change[] {
    const { changes, reason, who, reverts = null, continues, after } = draft;
    const sqlite = file.current();
    if (sqlite === undefined || access === 'read') {
      throw new NearvoteError('internal', 'Expected a journal that was opened to be written');
    }
    if (changes.length === 0) return [];
    file.assertInPlace();
    for (const { content } of changes) {
      if (content !== undefined) asEmbeddings(content.embedding, content.embedding.length);
    }
    const at = now().toISOString();
    return sqlite.transaction(() => {
      const head = readHead(sqlite);
      if (after !== undefined && after !== head.sequence) {
        // A process that was stopped for long has lost the writer's lock and does not know it yet.
        throw new NearvoteError(
          'index_readonly',
          `Expected to make change ${after + 1} but another process has made it; nothing was changed here`,
        );
      }
      const first = head.sequence + 1;
      const operation = continues ?? first;
      let previous = head.checksum;
      const made = changes.map(({ kind, id, label, was, content, reason: own }, i): Change => {
        const change: Change = {
          sequence: first + i,
          operation,
          at,
          kind,
          id: storable(id),
          label: storableOrNull(label),
          was: storableOrNull(was),
          reason: storableOrNull(own ?? reason),
          who: storableOrNull(who),
          reverts,
        };
        const kept = content === undefined ? undefined : keepContent(sqlite, content);
        previous = checksumOfChange(change, kept?.checksum ?? null, previous);
        insert(sqlite, 'changes', { ...change, content: kept?.key ?? null, checksum: previous });
        return change;
      });
      writeHead(sqlite, { sequence: head.sequence + made.length, checksum: previous });
      return made;
    });
  }

  function log({ before, after, id, limit }: LogQuery): readonly LoggedChange[] {
    const conditions: [string, SqlValue | undefined][] = [
      ['sequence < ?', before],
      ['sequence > ?', after],
      ['id = ?', id],
    ];
    const asked = conditions.filter(([, value]) => value !== undefined);
    const where = asked.length === 0 ? '' : `where ${asked.map(([condition]) => condition).join(' and ')}`;
    const values = asked.flatMap(([, value]) => (value === undefined ? [] : [value]));
    const rows = file.current()?.all(
      `select ${changeColumns}, ${sourceColumn}
          from changes left join contents on contents.key = changes.content
          ${where} order by sequence desc limit ?`,
      [...values, limit],
    );
    return (rows ?? []).map(parseLogged);
  }

  function operation(sequence: number): readonly Change[] {
    const rows = file.current()?.all(
      `select ${changeColumns} from changes
          where operation = (select operation from changes where sequence = ?) order by sequence`,
      [sequence],
    );
    return (rows ?? []).map(parseChange);
  }

  function content(sequence: number): ExampleContent | undefined {
    const row = file.current()?.get(
      `select ${contentColumns}, ${pictureColumn}, changes.sequence as sequence
        from changes join contents on contents.key = changes.content where sequence = ?`,
      [sequence],
    );
    return row === undefined ? undefined : parseContent(row);
  }

  /** The digest of an example's image, as the last change that says all of it has it: an id may be used again. */
  function digestOf(id: string): string | undefined {
    const row = file.current()?.get(
      `select ${contentColumns}, changes.sequence as sequence
        from changes join contents on contents.key = changes.content
        where id = ? order by sequence desc limit 1`,
      [id],
    );
    return row === undefined ? undefined : (parseContent(row).digest ?? undefined);
  }

  /** The picture lies where the example was added. */
  function pictureOf(id: string): Picture | undefined {
    const digest = digestOf(id);
    if (digest === undefined) return undefined;
    const row = file.current()?.get(
      `select ${contentColumns}, ${pictureColumn}, changes.sequence as sequence
        from changes join contents on contents.key = changes.content
        where id = ? and digest = ? and kind = 'add' order by sequence desc limit 1`,
      [id, digest],
    );
    return row === undefined ? undefined : parseContent(row).picture;
  }

  function idsOf(digest: string): readonly string[] {
    const rows = file.current()?.all(
      `select ${changeColumns} from contents join changes on changes.content = contents.key
        where digest = ? order by id`,
      [digest],
    );
    return [...new Set((rows ?? []).map((row) => parseChange(row).id))];
  }

  function labels(): readonly string[] {
    const rows = file.current()?.all(
      `select cast(label as blob) as label from changes where label is not null
        union select cast(was as blob) from changes where was is not null`,
    );
    return (rows ?? []).map(parseLabel);
  }

  return {
    get head() {
      const sqlite = file.current();
      return sqlite === undefined ? floor : readHead(sqlite).sequence;
    },
    append,
    replay,
    log,
    operation,
    content,
    digestOf,
    idsOf,
    pictureOf,
    labels,
    verify: ({ dimension }) => {
      const sqlite = file.current();
      return sqlite === undefined ? { changes: 0, defects: [] } : verifyJournal(sqlite, dimension);
    },
    close: file.close,
    [Symbol.dispose]: file.close,
  };
}

/** The checksum of the change with that sequence, or of what the first one is chained to. */
function checksumAt(sqlite: Sqlite, sequence: number): string {
  const floor = readFloor(sqlite);
  if (sequence === floor) return chainStart(floor);
  const row = sqlite.get(`select ${changeColumns} from changes where sequence = ?`, [sequence]);
  if (row !== undefined) return linkOf(row).checksum;
  throw new NearvoteError(
    'index_invalid',
    sequence < floor
      ? `Expected live.db to hold the changes after sequence ${sequence} but it begins at ${floor + 1}`
      : wrongChange(sequence, 'it is gone'),
  );
}

interface KeptContent {
  readonly key: number;
  readonly checksum: string;
}

/** An example that is deleted, restored and deleted again is kept once. */
function keepContent(sqlite: Sqlite, content: ExampleContent): KeptContent {
  const row = contentRow(content);
  const checksum = row.contentChecksum;
  const known = sqlite.get('select key from contents where contentChecksum = ?', [checksum]);
  return { key: known === undefined ? insert(sqlite, 'contents', row) : Number(known['key']), checksum };
}

function insert(sqlite: Sqlite, table: string, row: Readonly<Record<string, SqlValue>>): number {
  const columns = Object.keys(row);
  const places = columns.map(() => '?').join(', ');
  return sqlite.run(`insert into ${table} (${columns.join(', ')}) values (${places})`, Object.values(row));
}
