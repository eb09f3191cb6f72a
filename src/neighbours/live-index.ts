import type { Example } from '../domain/decision.js';
import { asEmbeddings, dot, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { Change, ExampleContent } from '../examples/journal-record.js';
import { createExactSearcher } from './exact.js';
import { checkK, checkQueries, type NearestRows, type Searcher } from './searcher.js';

/** The examples of a version and the changes since it: what is searched, and what a change is planned against. */
export interface LiveIndex {
  /** Of the last change that is applied. */
  readonly sequence: number;
  /** Live examples. */
  readonly size: number;
  readonly dimension: number;
  /** The digest, in hex, of the encoder that made the embeddings. */
  readonly encoder: string;
  /** Live examples by label: the labels of the version in its order, then new ones as they came. */
  readonly labels: ReadonlyMap<string, number>;
  /** Examples that were added, left out or relabelled since the version was built: what a compaction folds in. */
  readonly changed: number;
  /** The nearest k live examples by position, nearest first; equal similarities in the order of positions. */
  search(queries: Embeddings, k: number): Promise<NearestRows>;
  /** Rows of the version in its order, then what was added in the order of adding. @throws `internal` */
  exampleAt(position: number): Example;
  /** `[dimension]`; not to be written to. */
  embeddingAt(position: number): ArrayLike<number>;
  /** Whether what is there is the example that a change says. */
  isAt(position: number, content: ExampleContent): boolean;
  /** The position of a live example; of one that was deleted only with `orDeleted`. */
  positionOf(id: string, orDeleted?: 'orDeleted'): number | undefined;
  /** Live positions after one, ascending; -1 for all. */
  positionsAfter(position: number): Iterable<number>;
  /**
   * Applies a change that the journal holds. What it says of an example that is not there is passed over, as is an example
   * that another encoder embedded: a build has left it out.
   */
  apply(change: Change, content: ExampleContent | undefined): void;
  close(): Promise<void>;
}

export interface LiveIndexOptions {
  /** Of the version's rows. */
  readonly base: Searcher;
  /** In row order. */
  readonly examples: readonly Example[];
  /** In the manifest's order. */
  readonly labels: readonly { readonly label: string; readonly examples: number }[];
  /** All changes up to it are in the version. */
  readonly sequence: number;
  /** The digest, in hex, of the encoder that made the embeddings. */
  readonly encoder: string;
}

/** So many more than k of a graph's nearest are compared once more: it rounds similarities in its own way. */
const refinedMargin = 16;

export function createLiveIndex(options: LiveIndexOptions): LiveIndex {
  const { base, examples, encoder } = options;
  const { dimension } = base;
  const baseSize = examples.length;
  const labels = new Map(options.labels.map(({ label, examples: count }) => [label, count]));
  const added: Example[] = [];
  const addedRows = createGrowingRows(dimension);
  const relabelled = new Map<number, string>();
  const deleted = new Set<number>();
  let deletedOfBase = 0;
  let { sequence } = options;
  let overlay: Promise<Searcher> | undefined;
  let positions: Map<string, number> | undefined;

  /** Made when the first change asks: a server whose index does not change does without. */
  function allPositions(): Map<string, number> {
    positions ??= new Map(examples.map(({ id }, row) => [id, row]));
    return positions;
  }

  function exampleAt(position: number): Example {
    const example = position < baseSize ? examples[position] : added[position - baseSize];
    if (example === undefined) {
      throw new NearvoteError(
        'internal',
        `Expected a position below ${baseSize + added.length} but received ${position}`,
      );
    }
    const label = relabelled.get(position);
    return label === undefined ? example : { ...example, label };
  }

  function count(label: string, by: 1 | -1): void {
    const examplesOf = (labels.get(label) ?? 0) + by;
    if (examplesOf === 0) labels.delete(label);
    else labels.set(label, examplesOf);
  }

  function add({ id, label }: Change, content: ExampleContent | undefined): void {
    if (label === null || content?.encoder !== encoder) return;
    allPositions().set(id, baseSize + added.length);
    added.push({ id, label, source: content.source });
    addedRows.append(content.embedding);
    count(label, 1);
    // Opened before anybody searches it; where that fails, the search tries again, and says so.
    overlay ??= openOverlay();
  }

  function openOverlay(): Promise<Searcher> {
    const opening = createExactSearcher({ embeddings: addedRows, threads: 1, spinning: false });
    opening.catch(() => (overlay = undefined));
    return opening;
  }

  function remove(position: number): void {
    count(exampleAt(position).label, -1);
    deleted.add(position);
    if (position < baseSize) deletedOfBase++;
  }

  function takeBack(position: number, label: string): void {
    deleted.delete(position);
    if (position < baseSize) deletedOfBase--;
    name(position, label);
  }

  function relabel(position: number, label: string): void {
    count(exampleAt(position).label, -1);
    name(position, label);
  }

  function name(position: number, label: string): void {
    relabelled.delete(position);
    if (exampleAt(position).label !== label) relabelled.set(position, label);
    count(label, 1);
  }

  function embeddingAt(position: number): ArrayLike<number> {
    if (position < baseSize) return base.embeddingOf(position);
    const row = position - baseSize;
    return addedRows.values.subarray(row * dimension, (row + 1) * dimension);
  }

  function isAt(position: number, content: ExampleContent): boolean {
    const there = embeddingAt(position);
    return content.encoder === encoder && content.embedding.every((value, i) => value === there[i]);
  }

  /** Another may have had its id since. */
  const isFormer = (position: number, content: ExampleContent | undefined): boolean =>
    content === undefined || isAt(position, content);

  const live: LiveIndex = {
    get sequence() {
      return sequence;
    },
    get size() {
      return baseSize + added.length - deleted.size;
    },
    get changed() {
      const otherwise = [...relabelled.keys()].filter((one) => one < baseSize && !deleted.has(one));
      return added.length + deletedOfBase + otherwise.length;
    },
    dimension,
    encoder,
    labels,
    exampleAt,
    embeddingAt,
    isAt,
    positionOf: (id, orDeleted) => {
      const position = allPositions().get(id);
      if (position === undefined || (deleted.has(position) && orDeleted === undefined)) return undefined;
      return position;
    },
    *positionsAfter(position) {
      for (let one = position + 1; one < baseSize + added.length; one++) if (!deleted.has(one)) yield one;
    },

    apply: (change, content) => {
      const { kind, id, label } = change;
      const position = live.positionOf(id);
      const former = live.positionOf(id, 'orDeleted');
      sequence = change.sequence;
      if (kind === 'delete') {
        if (position !== undefined) remove(position);
      } else if (label === null) return;
      else if (position !== undefined) relabel(position, label);
      else if (kind === 'restore' && former !== undefined && isFormer(former, content))
        takeBack(former, label);
      else if (kind !== 'relabel') add(change, content);
    },

    search: async (queries, k) => {
      checkK(k, live.size);
      checkQueries(queries, dimension);
      if (added.length === 0 && deleted.size === 0) return base.search(queries, k);
      const ofBase = await searchBase(queries, k);
      const deletedOfAdded = deleted.size - deletedOfBase;
      const among = Math.min(k + deletedOfAdded, added.length);
      const ofAdded =
        added.length === 0 ? undefined : await (await (overlay ??= openOverlay())).search(queries, among);
      const rows = new Int32Array(queries.count * k);
      const similarities = new Float32Array(rows.length);
      for (let query = 0; query < queries.count; query++) {
        const found = [...(ofBase[query] ?? [])];
        for (let i = 0; ofAdded !== undefined && i < among; i++) {
          const position = baseSize + (ofAdded.rows[query * among + i] ?? NaN);
          const similarity = ofAdded.similarities[query * among + i] ?? NaN;
          if (!deleted.has(position)) found.push({ position, similarity });
        }
        found.sort((a, b) => b.similarity - a.similarity || a.position - b.position);
        for (let i = 0; i < k; i++) {
          rows[query * k + i] = found[i]?.position ?? -1;
          similarities[query * k + i] = found[i]?.similarity ?? NaN;
        }
      }
      return { count: queries.count, k, rows, similarities };
    },

    close: async () => {
      await Promise.all([base.close(), overlay?.then((searcher) => searcher.close())]);
    },
  };

  /** The nearest k of the version's rows that are not deleted, or all of them; in no order. */
  async function searchBase(queries: Embeddings, k: number): Promise<Found[][]> {
    const wanted = Math.min(k, baseSize - deletedOfBase);
    if (wanted === 0) return [];
    const margin = base.kind === 'hnsw' ? refinedMargin : 0;
    // With as many more as are deleted there are always enough; mostly fewer will do.
    for (let spare = Math.min(deletedOfBase, k); ; spare = Math.min(deletedOfBase, 4 * spare)) {
      const asked = Math.min(wanted + spare + margin, baseSize);
      const nearest = await base.search(queries, asked);
      const found = Array.from({ length: queries.count }, (_, query) => liveOf(nearest, queries, query));
      if (spare === deletedOfBase || found.every(({ length }) => length >= wanted + margin)) return found;
    }
  }

  function liveOf({ k, rows, similarities }: NearestRows, queries: Embeddings, query: number): Found[] {
    const found: Found[] = [];
    for (let i = query * k; i < (query + 1) * k; i++) {
      const position = rows[i] ?? -1;
      if (deleted.has(position)) continue;
      const similarity =
        base.kind === 'exact' ? (similarities[i] ?? NaN) : similarityTo(queries, query, position);
      found.push({ position, similarity });
    }
    return found;
  }

  /** As exact search rounds it. */
  function similarityTo(queries: Embeddings, query: number, row: number): number {
    const embedding = Float32Array.from(base.embeddingOf(row));
    return Math.fround(dot(queries.values, query * dimension, embedding, 0, dimension));
  }

  return live;
}

interface Found {
  readonly position: number;
  readonly similarity: number;
}

/** Embeddings that grow row by row; a search that began sees what was there then. */
interface GrowingRows extends Embeddings {
  /** @throws NearvoteError `encoder_invalid` unless it is `[dimension]` and of unit length */
  append(embedding: Float32Array): void;
}

const firstCapacity = 64;

function createGrowingRows(dimension: number): GrowingRows {
  let values = new Float32Array(firstCapacity * dimension);
  let count = 0;
  const rows = {
    dimension,
    get count() {
      return count;
    },
    get values() {
      return values.subarray(0, count * dimension);
    },
    append: (embedding: Float32Array): void => {
      const checked = asEmbeddings(embedding, dimension);
      if (checked.count !== 1) throw new RangeError(`Expected one row but received ${checked.count}`);
      if ((count + 1) * dimension > values.length) {
        const grown = new Float32Array(2 * values.length);
        grown.set(values);
        values = grown;
      }
      values.set(checked.values, count * dimension);
      count++;
    },
  };
  return rows as unknown as GrowingRows;
}
