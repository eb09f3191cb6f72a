import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Example } from '../domain/decision.js';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import { beginVersion, type IndexManifest } from '../examples/index-store.js';
import type { LoggedChange, Picture } from '../examples/journal-record.js';
import { journalFile } from '../examples/journal-file.js';
import { openJournal, type Journal } from '../examples/journal.js';
import { continuedBy, newExamplesOf, type Changed, type ChangeRequest } from './changes.js';
import { createLiveIndex, type LiveIndex } from './live-index.js';
import {
  matchImages,
  taughtExamples,
  type LabelledDigest,
  type Matching,
  type TaughtExample,
} from './match-images.js';
import type { ExampleHistory, IndexState, ListedExamples, ListOptions, LogOptions } from './neighbours.js';
import { openSearcher } from './open-searcher.js';
import { planChanges } from './plan-changes.js';
import type { NearestRows, Searcher } from './searcher.js';

export interface EmbeddedIndexOptions {
  /** The version's folder, in the folder of its index. */
  readonly dir: string;
  /** As it was read before: files with other hashes are refused. */
  readonly manifest: IndexManifest;
  /** `exact` ignores vectors.hnsw; `auto` uses it where hnswlib-node could be built. */
  readonly search: 'auto' | 'exact';
  readonly threads: number;
  /** Whoever writes holds the index's writer lock. */
  readonly access: 'read' | 'write';
  readonly now: () => Date;
}

/** A version of an index and the journal of its changes, held in this process. */
export interface EmbeddedIndex {
  readonly searchKind: Searcher['kind'];
  readonly dimension: number;
  /** Of the last change. */
  readonly sequence: number;
  /** Live examples. */
  readonly size: number;
  state(): IndexState;
  /**
   * The nearest k of each query, nearest first; `rows` are positions for `exampleAt`.
   * @throws NearvoteError `k_too_large`
   */
  search(queries: Embeddings, k: number): Promise<NearestRows>;
  exampleAt(position: number): Example;
  /** `[dimension]`; not to be written to. */
  embeddingAt(position: number): ArrayLike<number>;
  /** Of all live examples, in the order of the index. */
  positions(): Iterable<number>;
  /** Which images it holds already, and what it holds beside them. */
  match(images: readonly LabelledDigest[]): Matching;
  /** What it was taught by changes, and not by a build or a sync. */
  taught(): readonly TaughtExample[];
  /** As the port has it. */
  change(request: ChangeRequest): Promise<Changed>;
  example(id: string): ExampleHistory;
  labelsOf(ids: readonly string[]): readonly (string | null)[];
  picture(id: string): Picture;
  list(options: ListOptions): ListedExamples;
  log(options: LogOptions): readonly LoggedChange[];
  /** Takes over what another process has written to the journal. */
  follow(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a version, every file checked, and brings it to the state that its journal says.
 * @throws NearvoteError `index_missing`, `index_invalid`
 */
export async function openEmbeddedIndex(options: EmbeddedIndexOptions): Promise<EmbeddedIndex> {
  const { dir, manifest, access, now } = options;
  const { examples, base } = await openVersion(options);
  const { sequence = 0, labels } = manifest;
  const { sha256, digest: encoder = sha256 } = manifest.encoder;
  const live = createLiveIndex({ base, examples, labels, sequence, encoder });
  const root = dirname(dir);
  let journal: Journal | undefined;
  try {
    await follow();
  } catch (error) {
    await close();
    throw error;
  }

  /** An index that nobody has changed has no journal, and needs no database. */
  async function follow(): Promise<void> {
    if (journal === undefined && !existsSync(join(root, journalFile))) return;
    journal ??= await openJournal({ root, floor: sequence, access, now });
    for (const { change, content } of journal.replay(live.sequence)) live.apply(change, content);
  }

  async function close(): Promise<void> {
    journal?.close();
    await live.close();
  }

  async function writableJournal(): Promise<Journal> {
    if (access === 'write') return (journal ??= await openJournal({ root, floor: sequence, access, now }));
    throw new NearvoteError(
      'index_readonly',
      'Expected an index that may be changed here but it is open for reading',
    );
  }

  function positionOf(id: string): number {
    const position = live.positionOf(id);
    if (position !== undefined) return position;
    const [last] = journal?.log({ id, limit: 1 }) ?? [];
    throw new NearvoteError(
      'example_missing',
      last?.kind === 'delete'
        ? `Expected the id of an example but ${quoted(id)} was deleted by change ${last.sequence}, which can be taken back`
        : `Expected the id of an example but there is no ${quoted(id)}`,
    );
  }

  return {
    searchKind: base.kind,
    dimension: live.dimension,
    get sequence() {
      return live.sequence;
    },
    get size() {
      return live.size;
    },
    state: () => stateOf(live),
    search: (queries, k) => live.search(queries, k),
    exampleAt: (position) => live.exampleAt(position),
    embeddingAt: (position) => live.embeddingAt(position),
    positions: () => live.positionsAfter(-1),

    taught: () => taughtExamples(live, journal),

    match: (images) => matchImages(live, journal, images),

    change: async (request) => {
      for (const { embedding } of newExamplesOf(request)) asEmbeddings(embedding, live.dimension);
      const written = await writableJournal();
      // Nothing is planned against a state that is not the journal's.
      if (written.head !== live.sequence) await follow();
      const { changes: drafts, outcomes, reverts } = planChanges(live, written, request);
      if (drafts.length === 0) return { sequence: live.sequence, operation: null, outcomes };
      const { reason, who } = request;
      const continues = continuedBy(request, written.log({ limit: 1 })[0]);
      const after = live.sequence;
      const changes = written.append({ changes: drafts, reason, who, reverts, continues, after });
      for (const [i, change] of changes.entries()) live.apply(change, drafts[i]?.content);
      return { sequence: live.sequence, operation: changes[0]?.operation ?? null, outcomes };
    },

    example: (id) => ({
      example: live.exampleAt(positionOf(id)),
      changes: journal?.log({ id, limit: mostOfOneExample }) ?? [],
      sequence: live.sequence,
    }),

    labelsOf: (ids) =>
      ids.map((id) => {
        const position = live.positionOf(id);
        return position === undefined ? null : live.exampleAt(position).label;
      }),

    picture: (id) => {
      const position = positionOf(id);
      const picture = journal?.pictureOf(id);
      if (picture !== undefined) return picture;
      throw new NearvoteError(
        'example_missing',
        `Expected an example that was added with its picture but ${live.exampleAt(position).id} came with a build, which keeps none`,
      );
    },

    list: ({ label, text, after, limit }) => {
      const start = after === undefined ? -1 : live.positionOf(after, 'orDeleted');
      if (start === undefined) {
        throw new NearvoteError(
          'example_missing',
          `Expected the id after which the list goes on but there is no ${quoted(after ?? '')}; begin anew`,
        );
      }
      const wanted = text?.toLowerCase();
      const found: Example[] = [];
      for (const position of live.positionsAfter(start)) {
        const example = live.exampleAt(position);
        if (label !== undefined && example.label !== label) continue;
        if (wanted !== undefined && !holds(example, wanted)) continue;
        found.push(example);
        if (found.length > limit) break;
      }
      return { examples: found.slice(0, limit), more: found.length > limit, sequence: live.sequence };
    },

    log: (asked) => journal?.log(asked) ?? [],

    follow,

    close,
  };
}

/** Of an example that was changed more often, the oldest changes are left out. */
const mostOfOneExample = 100;

function stateOf(live: LiveIndex): IndexState {
  return {
    sequence: live.sequence,
    examples: live.size,
    labels: [...live.labels].map(([label, examples]) => ({ label, examples })),
    changed: live.changed,
  };
}

function holds({ id, label, source }: Example, wanted: string): boolean {
  return [id, label, source].some((text) => text.toLowerCase().includes(wanted));
}

/** The examples of a version and its search; the graph is opened while the other files are checked. */
async function openVersion({
  dir,
  manifest,
  search,
  threads,
}: EmbeddedIndexOptions): Promise<{ readonly examples: readonly Example[]; readonly base: Searcher }> {
  const reading = beginVersion({ dir, manifest });
  await reading.graph;
  const opening = openSearcher({ dir, manifest, mode: search, threads });
  const [examples, base] = await Promise.allSettled([reading.examples, opening]);
  if (examples.status === 'fulfilled' && base.status === 'fulfilled') {
    return { examples: examples.value, base: base.value };
  }
  if (base.status === 'fulfilled') await base.value.close();
  throw examples.status === 'rejected' ? examples.reason : (base as PromiseRejectedResult).reason;
}
