import type { Progress } from '../domain/progress.js';
import { sampleRows } from '../domain/seeded-random.js';
import { ballotsOf, vote, type VoteOptions } from '../vote/vote.js';
import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { NearestRows } from '../neighbours/searcher.js';
import { condense, type Condensed } from './condense.js';
import { surroundingNeighbours } from './duplicates.js';
import {
  findDuplicates,
  findLeaks,
  type DuplicateGroup,
  type Leak,
  type ReadPixels,
} from './find-duplicates.js';
import { numberLabels, overlaps, type Overlap } from './labelling.js';
import { mislabelled, mostSuspicious, suspicions, type Suspicion } from './mislabelled.js';
import { searchOthers } from './search-others.js';

/** Labelled images that the index does not hold, embedded by its encoder. */
export interface HeldOut {
  readonly name: string;
  readonly images: readonly { readonly id: string; readonly label: string }[];
  readonly embeddings: Embeddings;
  readonly readPixels?: ReadPixels | undefined;
}

export interface AuditIndexOptions {
  /** Of the index, for messages. */
  readonly name: string;
  readonly examples: readonly Example[];
  readonly embeddings: Embeddings;
  readonly k: number;
  readonly vote: VoteOptions;
  readonly test?: HeldOut | undefined;
  readonly readPixels?: ReadPixels | undefined;
  /** How many of the most suspicious labels are reported; those that are likely wrong unless given. */
  readonly suspects?: number | undefined;
  readonly seed: number;
  readonly threads: number;
  readonly progress: Progress;
}

export interface Audit {
  readonly k: number;
  /** Of every row, the other rows nearest to it, `[examples, max(k, 10)]` where there are so many. */
  readonly others: NearestRows;
  /** What the others vote, of every row. */
  readonly predicted: readonly string[];
  /** Of every row, in order. */
  readonly suspicions: readonly Suspicion[];
  /** Most suspicious first. */
  readonly mislabelled: readonly Suspicion[];
  readonly duplicates: readonly DuplicateGroup[];
  /** Undefined without test images. */
  readonly leaks: readonly Leak[] | undefined;
  readonly overlaps: readonly Overlap[];
  readonly condensed: Condensed & {
    /** The votes that do not change: of the test images, or leave-one-out of the index's own. */
    readonly votes: number;
    /** How many of those votes each row took part in. */
    readonly uses: Int32Array;
  };
}

/**
 * What the neighbours say about the examples of an index.
 * @throws NearvoteError `index_invalid` with fewer than two examples or labels; `k_too_large` when k exceeds the others
 */
export async function auditIndex(options: AuditIndexOptions): Promise<Audit> {
  const { examples, embeddings, k, test, readPixels, suspects, progress } = options;
  checkAuditable(options);
  const labelling = numberLabels(examples.map(({ label }) => label));
  const depth = Math.max(k, surroundingNeighbours);
  const others = await searchOthers({ ...options, queries: undefined, k: depth });
  const votes = Array.from({ length: others.count }, (_, row) =>
    vote(ballotsOf({ found: others, examples }, row, k), options.vote),
  );
  const predicted = votes.map((scores) => scores[0]?.label ?? '');
  const ranked = suspicions({ embeddings, labelling, votes });
  const lists = test && (await searchOthers({ ...options, queries: test.embeddings, k: depth }));
  return {
    k,
    others,
    predicted,
    suspicions: ranked,
    mislabelled: suspects === undefined ? mislabelled(ranked) : mostSuspicious(ranked).slice(0, suspects),
    duplicates: await findDuplicates({ examples, labelling, others, readPixels, progress }),
    leaks:
      test &&
      lists &&
      (await findLeaks({
        examples,
        labelling,
        others,
        test: test.images,
        lists,
        readPixels,
        readTestPixels: test.readPixels,
        progress,
      })),
    overlaps: overlaps(predicted, labelling),
    condensed: await condenseIndex(options, lists ?? others),
  };
}

/**
 * Whether there is anything to audit.
 * @throws NearvoteError `index_invalid` with fewer than two examples or labels; `k_too_large` when k exceeds the others
 */
export function checkAuditable({
  name,
  examples,
  k,
}: Pick<AuditIndexOptions, 'name' | 'examples' | 'k'>): void {
  if (examples.length < 2) {
    throw new NearvoteError(
      'index_invalid',
      `Expected at least two examples to compare but index ${name} has ${examples.length}`,
    );
  }
  const [first] = examples;
  if (first !== undefined && examples.every(({ label }) => label === first.label)) {
    throw new NearvoteError(
      'index_invalid',
      `Expected examples of at least two labels but all of index ${name} are labelled ${first.label}: nothing can vote against it`,
    );
  }
  if (k > examples.length - 1) {
    throw new NearvoteError(
      'k_too_large',
      `Expected k to be at most ${examples.length - 1}, the others that each of ${examples.length} examples has, but received ${k}`,
    );
  }
}

async function condenseIndex(options: AuditIndexOptions, lists: NearestRows): Promise<Audit['condensed']> {
  const { examples, k, test, seed } = options;
  const voters = firstOf(lists, k);
  const voteAll = (found: NearestRows): string[] =>
    Array.from(
      { length: found.count },
      (_, query) => vote(ballotsOf({ found, examples }, query, k), options.vote)[0]?.label ?? '',
    );
  const votes = voteAll(voters);
  const condensed = await condense({
    labels: examples.map(({ label }) => label),
    order: sampleRows({ size: examples.length, count: examples.length, seed }),
    startPerLabel: k,
    heldOut: voters,
    votes,
    revote: async (among) =>
      voteAll(await searchOthers({ ...options, queries: test?.embeddings, among, k, stage: 'voting again' })),
  });
  const uses = new Int32Array(examples.length);
  for (const row of voters.rows) uses[row] = (uses[row] ?? 0) + 1;
  return { ...condensed, votes: votes.length, uses };
}

/** The first k of each list. */
function firstOf(lists: NearestRows, k: number): NearestRows {
  const width = Math.min(k, lists.k);
  const pick = <T extends Int32Array | Float32Array>(from: T, into: T): T => {
    for (let query = 0; query < lists.count; query++) {
      into.set(from.subarray(query * lists.k, query * lists.k + width), query * width);
    }
    return into;
  };
  const size = lists.count * width;
  return {
    count: lists.count,
    k: width,
    rows: pick(lists.rows, new Int32Array(size)),
    similarities: pick(lists.similarities, new Float32Array(size)),
  };
}
