import { dot } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { IndexState, Nearest, NearestOptions } from '../neighbours/neighbours.js';
import type { Database, Row } from './database.js';
import { parseFound, parseSearched, stateOf, vectorBytes, type Found, type Head } from './records.js';
import { rowsTable } from './schema.js';

/** So many more than k are compared: pgvector adds in single precision, and breaks ties as it likes. */
const refinedMargin = 16;
/** What `hnsw.ef_search` may be; a search that wants more goes on by iterative scans. */
const mostEf = 1_000;
const fewestEf = 64;
/** Searches that wait for a connection go to the database as one statement. */
const mostAtOnce = 16;
const fewestAtOnce = 4;

export interface SearcherOptions {
  readonly database: Database;
  readonly head: Pick<Head, 'key' | 'dimension'>;
  readonly kind: 'hnsw' | 'exact';
  /** Most statements at once. */
  readonly statements: number;
  /** The newest state that is known: its labels are not asked for. */
  readonly known: () => IndexState;
}

export type Search = (embedding: Float32Array, asked: NearestOptions) => Promise<Nearest>;

interface Waiting {
  readonly embedding: Float32Array;
  readonly asked: NearestOptions;
  readonly started: number;
  readonly resolve: (nearest: Nearest) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Searches what the database holds now, whoever changed it. What is asked while others wait goes with them.
 * @returns a search; it @throws NearvoteError `k_too_large`, `index_empty`, `search_incomplete`, `database_unreachable`
 */
export function createPostgresSearcher(options: SearcherOptions): Search {
  const { kind, statements } = options;
  let waiting: Waiting[] = [];
  let running = 0;
  let isDue = false;

  function run(): void {
    isDue = false;
    waiting = waiting.filter(({ asked: { signal }, reject }) => {
      if (signal?.aborted !== true) return true;
      reject(signal.reason);
      return false;
    });
    while (waiting.length > 0 && running < statements) {
      const share = Math.max(fewestAtOnce, Math.ceil(waiting.length / (statements - running)));
      // Each reads the whole table: side by side they end sooner.
      const most = kind === 'exact' ? 1 : Math.min(share, mostAtOnce);
      const [first] = waiting;
      // One with another k is no part of the statement: what is found does not depend on what is asked beside it.
      const some = waiting.filter(({ asked }) => asked.k === first?.asked.k).slice(0, most);
      const taken = new Set(some);
      waiting = waiting.filter((one) => !taken.has(one));
      running++;
      void searchTogether(options, some).finally(() => {
        running--;
        run();
      });
    }
  }

  return (embedding, asked) =>
    new Promise((resolve, reject) => {
      waiting.push({ embedding, asked, started: performance.now(), resolve, reject });
      // The images of one batch of the encoder come in the same turn.
      if (!isDue) setImmediate(run);
      isDue = true;
    });
}

async function searchTogether(options: SearcherOptions, some: readonly Waiting[]): Promise<void> {
  const { database, head, kind } = options;
  const known = options.known();
  const rows = (some[0]?.asked.k ?? 1) + refinedMargin;
  try {
    const found = await database.select({
      settings: settingsOf(kind, rows),
      sql: searchStatement({ ...head, searches: some.length, rows }),
      values: [known.sequence, ...some.map(({ embedding }) => vectorBytes(embedding))],
    });
    // Whoever removes an index removes its row.
    const headRow = found.find((row) => row['search'] === null);
    if (headRow === undefined)
      throw new NearvoteError('index_missing', 'Expected the index but it was removed');
    const searched = parseSearched(headRow);
    const state = searched.labels === null ? known : stateOf(searched, searched.labels);
    const bySearch = new Map<unknown, Row[]>();
    for (const row of found) {
      const of = bySearch.get(row['search']);
      if (of === undefined) bySearch.set(row['search'], [row]);
      else of.push(row);
    }
    for (const [i, one] of some.entries()) {
      try {
        one.resolve(nearestOf(one, bySearch.get(i) ?? [], state));
      } catch (error) {
        one.reject(error);
      }
    }
  } catch (error) {
    for (const { reject } of some) reject(error);
  }
}

/** `SET LOCAL` ends with the transaction: a setting of the session would leak to others through a pooler. */
function settingsOf(kind: 'hnsw' | 'exact', rows: number): string[] {
  if (kind === 'exact') return ['enable_indexscan = off', 'enable_bitmapscan = off'];
  const ef = Math.min(mostEf, Math.max(fewestEf, rows));
  return [`hnsw.ef_search = ${ef}`, 'hnsw.iterative_scan = strict_order'];
}

export interface SearchStatement {
  readonly key: number;
  readonly dimension: number;
  readonly searches: number;
  /** Of each search. */
  readonly rows: number;
}

/**
 * One statement, so one state of the database: a row of the index itself, with its labels where its sequence is not $1, and the
 * rows that are nearest to each of the vectors $2, $3 and so on. The order is that of the index's operator, ascending, or the
 * graph would not be used. The vectors of those come along whose place single precision may have wrong.
 */
export function searchStatement({ key, dimension, searches, rows }: SearchStatement): string {
  const wanted = Array.from({ length: searches }, (_, i) => `(${i}, $${i + 2}::vector)`).join(', ');
  // A sum of n products is wrong by n roundings of their absolute sum at the most, which is 1 of unit vectors.
  const unsure = 2 * dimension * 2 ** -24;
  return `select null::int as search, sequence, examples, changed,
      case when sequence <> $1::bigint then (
        select coalesce(json_agg(json_build_object('label', label, 'place', place, 'examples', examples) order by place), '[]')
        from nearvote.labels where index_key = ${key}
      ) end as labels,
      null::bigint as position, null as id, null as label, null as source, null::float8 as product, null::bytea as embedding
    from nearvote.indexes where key = ${key}
    union all
    select search, null, null, null, null, found.*
    from (values ${wanted}) as asked(search, wanted) cross join lateral (
      select position, id, label, source, product,
        case when product - lag(product) over near <= ${unsure} or lead(product) over near - product <= ${unsure}
          then vector_send(embedding) end
      from (
        select position, id, label, source, embedding, embedding <#> asked.wanted as product
        from ${rowsTable(key)} where removed is null order by embedding <#> asked.wanted limit ${rows}
      ) as nearest window near as (order by product)
    ) as found`;
}

function nearestOf({ embedding, asked, started }: Waiting, rows: readonly Row[], state: IndexState): Nearest {
  const k = checkedK(asked, state.examples);
  const nearest = ranked(rows.map(parseFound), embedding);
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

/** Those that came with their vectors are compared once more in double precision: the order and the ties of exact search. */
function ranked(rows: readonly Found[], query: Float32Array) {
  return rows
    .map((row) => {
      const { product, embedding } = row;
      const similarity = embedding === null ? -product : dot(query, 0, embedding, 0, query.length);
      return { ...row, similarity: Math.fround(similarity) };
    })
    .sort((a, b) => b.similarity - a.similarity || a.position - b.position);
}
