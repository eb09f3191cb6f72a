import { dot } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { IndexState, Nearest, NearestOptions } from '../neighbours/neighbours.js';
import type { Database, Row } from './database.js';
import { parseFound, parseLabel, parseState, stateOf, type Head } from './records.js';
import { rowsTable } from './schema.js';

/** So many more than k are compared once more: pgvector adds in single precision, and breaks ties as it likes. */
const refinedMargin = 16;
/** What `hnsw.ef_search` may be; a search that wants more goes on by iterative scans. */
const mostEf = 1_000;
const fewestEf = 64;

interface SearchStatements {
  readonly head: Pick<Head, 'key' | 'dimension'>;
  readonly embedding: Float32Array;
  /** So many rows are wanted. */
  readonly rows: number;
  readonly kind: 'hnsw' | 'exact';
  /** The sequence of the state that is known: labels are asked for where there is another. */
  readonly known: number;
}

/**
 * The statements of a search, for `Database.script`. `SET LOCAL` ends with them: a setting of the session would leak to others
 * through a pooler. The order is that of the index's operator, ascending, or the graph would not be used.
 */
function searchStatements({ head, embedding, rows, kind, known }: SearchStatements): string {
  // Numbers alone go into the text: a script has no parameters.
  const vector = `'[${Array.from(embedding, Number).join(',')}]'::vector(${head.dimension})`;
  const ef = Math.min(mostEf, Math.max(fewestEf, rows));
  return [
    ...(kind === 'hnsw'
      ? [`set local hnsw.ef_search = ${ef}`, 'set local hnsw.iterative_scan = strict_order']
      : ['set local enable_indexscan = off', 'set local enable_bitmapscan = off']),
    `select sequence, examples, changed from nearvote.indexes where key = ${head.key}`,
    nearestStatement(head.key, vector, rows),
    `select label, place, examples from nearvote.labels where index_key = ${head.key}
      and exists (select from nearvote.indexes where key = ${head.key} and sequence <> ${known}) order by place`,
  ].join('; ');
}

/** @param vector as SQL has it */
export function nearestStatement(key: number, vector: string, rows: number): string {
  return `select position, id, label, source, vector_send(embedding) as embedding from ${rowsTable(key)}
    where removed is null order by embedding <#> ${vector} limit ${rows}`;
}

const settings = 2;

export interface SearchOptions {
  readonly head: Pick<Head, 'key' | 'dimension'>;
  readonly kind: 'hnsw' | 'exact';
  readonly embedding: Float32Array;
  readonly asked: NearestOptions;
  readonly known: IndexState;
}

/**
 * Searches what the database holds now, whoever changed it.
 * @throws NearvoteError `k_too_large`, `index_empty`, `search_incomplete`, `database_unreachable`
 */
export async function search(database: Database, options: SearchOptions): Promise<Nearest> {
  const { head, kind, embedding, asked, known } = options;
  const started = performance.now();
  const statements = searchStatements({
    ...{ head, embedding, kind, known: known.sequence },
    rows: asked.k + refinedMargin,
  });
  const [heads = [], rows = [], labels = []] = (await database.script(statements)).slice(settings);
  // Whoever removes an index removes its row.
  const [headRow] = heads;
  if (headRow === undefined)
    throw new NearvoteError('index_missing', 'Expected the index but it was removed');
  const found = parseState(headRow);
  const state = found.sequence === known.sequence ? known : stateOf(found, labels.map(parseLabel));
  const k = checkedK(asked, state.examples);
  const nearest = ranked(rows, embedding);
  if (nearest.length < k) {
    throw new NearvoteError(
      'search_incomplete',
      `Expected ${k} neighbours among ${state.examples} examples but the search found ${nearest.length}`,
    );
  }
  const kept = nearest.slice(0, k);
  return {
    labels: kept.map(({ label }) => label),
    similarities: Float32Array.from(kept, ({ similarity }) => similarity),
    examples: kept.slice(0, asked.shown).map(({ id, label, source }) => ({ id, label, source })),
    state,
    searchMs: performance.now() - started,
  };
}

function checkedK({ k, clamped = false }: NearestOptions, examples: number): number {
  if (examples === 0) {
    throw new NearvoteError('index_empty', 'Expected an index with examples but it has none');
  }
  if (k > examples && !clamped) {
    throw new NearvoteError(
      'k_too_large',
      `Expected k to be at most ${examples}, the size of the index, but received ${k}`,
    );
  }
  return Math.min(k, examples);
}

/** Compared once more in double precision: the order and the ties of exact search. */
function ranked(rows: readonly Row[], query: Float32Array) {
  return rows
    .map((row) => {
      const one = parseFound(row);
      return { ...one, similarity: Math.fround(dot(query, 0, one.embedding, 0, query.length)) };
    })
    .sort((a, b) => b.similarity - a.similarity || a.position - b.position);
}
