import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import type { LoggedChange, Picture } from '../examples/journal-record.js';
import type { ExampleHistory, ListedExamples, ListOptions, LogOptions } from '../neighbours/neighbours.js';
import type { Query } from './database.js';
import {
  changeColumns,
  parseChange,
  parseExample,
  parseListed,
  parseLogged,
  parsePicture,
} from './records.js';
import { rowsTable } from './schema.js';

/** Of an example that was changed more often, the oldest changes are left out. */
const mostOfOneExample = 100;
/** Looked through at once where examples are listed by text. */
const pageRows = 2_000;

/** @throws NearvoteError `example_missing` */
export async function readExample(query: Query, key: number, id: string): Promise<ExampleHistory> {
  const [row] = await query(
    `select id, label, source from ${rowsTable(key)} where id = $1 and removed is null`,
    [id],
  );
  if (row === undefined) throw missing(id);
  const changes = await query(
    `select ${changeColumns} from nearvote.changes where index_key = $1 and id = $2 order by sequence desc limit $3`,
    [key, id, mostOfOneExample],
  );
  return {
    ...{ example: parseExample(row), changes: changes.map(parseChange) },
    sequence: await sequenceNow(query, key),
  };
}

/** @throws NearvoteError `example_missing` */
export async function readPicture(query: Query, key: number, id: string): Promise<Picture> {
  const [row] = await query(
    `select picture, media_type from ${rowsTable(key)} where id = $1 and removed is null`,
    [id],
  );
  if (row === undefined) throw missing(id);
  const { picture: bytes, media_type: mediaType } = parsePicture(row);
  if (bytes !== null && mediaType !== null) return { bytes, mediaType };
  throw new NearvoteError(
    'example_missing',
    `Expected an example that was added with its picture but ${id} came with a build, which keeps none`,
  );
}

/** @returns what each has for a label; null where there is no such example */
export async function readLabelsOf(
  query: Query,
  key: number,
  ids: readonly string[],
): Promise<(string | null)[]> {
  const rows = await query(
    `select id, label, source from ${rowsTable(key)} where id = any($1::text[]) and removed is null`,
    [ids],
  );
  const labels = new Map(rows.map(parseExample).map(({ id, label }) => [id, label]));
  return ids.map((id) => labels.get(id) ?? null);
}

/** @throws NearvoteError `example_missing` where the list is to go on after what never was */
export async function listExamples(
  query: Query,
  key: number,
  { label, text, after, limit }: ListOptions,
): Promise<ListedExamples> {
  let position = after === undefined ? -1 : await positionOf(query, key, after);
  const wanted = text?.toLowerCase();
  const found: ListedExamples['examples'][number][] = [];
  for (let isLast = false; !isLast && found.length <= limit;) {
    const most = wanted === undefined ? limit + 1 : pageRows;
    const rows = await query(
      `select position, id, label, source from ${rowsTable(key)}
        where removed is null and position > $1 and ($2::text is null or label = $2) order by position limit $3`,
      [position, label ?? null, most],
    );
    isLast = rows.length < most;
    for (const row of rows) {
      const { position: at, ...one } = parseListed(row);
      position = at;
      // Here, so that letters are the same whatever the database takes them for.
      const texts = [one.id, one.label, one.source];
      if (wanted !== undefined && !texts.some((part) => part.toLowerCase().includes(wanted))) continue;
      found.push(one);
    }
  }
  return {
    ...{ examples: found.slice(0, limit), more: found.length > limit },
    sequence: await sequenceNow(query, key),
  };
}

/** Newest first. */
export async function readLog(
  query: Query,
  key: number,
  { before, id, limit }: LogOptions,
): Promise<readonly LoggedChange[]> {
  const rows = await query(
    `select *, (select source from ${rowsTable(key)} where kind <> 'relabel' and position = asked.position) as source
      from (select ${changeColumns}, position from nearvote.changes
        where index_key = $1 and ($2::bigint is null or sequence < $2) and ($3::text is null or id = $3)
        order by sequence desc limit $4) as asked
      order by sequence desc`,
    [key, before ?? null, id ?? null, limit],
  );
  return rows.map(parseLogged);
}

/** Of an example, or of what was one. */
async function positionOf(query: Query, key: number, id: string): Promise<number> {
  const [row] = await query(
    `select position from ${rowsTable(key)} where id = $1 order by removed is null desc, position desc limit 1`,
    [id],
  );
  if (row !== undefined) return Number(row['position']);
  throw new NearvoteError(
    'example_missing',
    `Expected the id after which the list goes on but there is no ${quoted(id)}; begin anew`,
  );
}

async function sequenceNow(query: Query, key: number): Promise<number> {
  const [row] = await query('select sequence from nearvote.indexes where key = $1', [key]);
  return Number(row?.['sequence']);
}

function missing(id: string): NearvoteError {
  return new NearvoteError('example_missing', `Expected the id of an example but there is no ${quoted(id)}`);
}
