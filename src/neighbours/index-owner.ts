import { dirname } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { leaseVersion } from '../examples/lease.js';
import { bytesOf, floatsOf, integersOf, type Frame } from '../processes/frames.js';
import { compiledModule, superviseChild } from '../processes/supervised-child.js';
import type { IndexManifest } from '../examples/index-store.js';
import type { Nearest, NearestOptions, Neighbours } from './neighbours.js';
import { checkK } from './searcher.js';

/* What an index owner and its process say to each other. */

/** Everything the process needs, sent once. */
export interface OwnerSetup {
  readonly dir: string;
  /** As it was read when the owner was opened: files with other hashes are refused, at every start. */
  readonly manifest: IndexManifest;
  /** `exact` ignores vectors.hnsw; `auto` uses it where hnswlib-node could be built. */
  readonly search: 'auto' | 'exact';
  readonly threads: number;
}

export interface OwnerReady {
  readonly searchKind: 'hnsw' | 'exact';
  /** Labels are sent as places in this list. */
  readonly labels: readonly string[];
}

/** `k` and `shown` of each query; the embeddings `[n, dimension]` lie beside it. */
export interface SearchJob {
  readonly ks: readonly number[];
  readonly shown: readonly number[];
}

/** Beside it lie places of labels as uint32 and similarities as float32, both `[sum of ks]`, query after query. */
export interface SearchReply {
  /** `[id, label's place, source]` of the nearest `shown` of each query. */
  readonly examples: readonly (readonly [string, number, string])[][];
  readonly searchMs: number;
}

export interface IndexOwnerOptions {
  readonly name: string;
  readonly version: string;
  /** The version's folder. */
  readonly dir: string;
  readonly manifest: IndexManifest;
  readonly search: 'auto' | 'exact';
  /** Of exact search. */
  readonly threads: number;
  /** In milliseconds; 30 s unless told. */
  readonly searchDeadlineMs?: number | undefined;
  /** An index is serving meanwhile: this one starts on what is left of the cores. */
  readonly besideOthers?: boolean | undefined;
  readonly onRestart?: ((reason: string) => void) | undefined;
  /** Told why a build may remove the version, where it may. */
  readonly onUnprotected?: ((reason: string) => void) | undefined;
  /** The compiled process; another one only in tests. */
  readonly processFile?: URL | undefined;
}

interface Question {
  readonly embedding: Float32Array;
  readonly options: NearestOptions;
  readonly resolve: (nearest: Nearest) => void;
  readonly reject: (error: Error) => void;
}

const defaultDeadlineMs = 30_000;
/** Ids and sources of a few million examples; the graph and the embeddings lie outside the JavaScript heap. */
const heapMegabytes = 4_096;
/** One that is searched, and one that lies behind it. */
const jobsAtOnce = 2;
const mostQuestions = 256;

/**
 * The one process of a server that holds an index. It is a process and not a thread, because a fault in native code then
 * ends it alone (docs/decisions/012). The version is leased: no build removes it meanwhile.
 * @throws NearvoteError `index_missing` when the version was removed meanwhile, `index_invalid`, `worker_failed`
 */
export async function openIndexOwner(options: IndexOwnerOptions): Promise<Neighbours> {
  const { name, version, dir, manifest, search, threads, searchDeadlineMs = defaultDeadlineMs } = options;
  const waiting: Question[] = [];
  let flushing = false;
  let closed = false;
  const setup: OwnerSetup = { dir, manifest, search, threads };
  const lease = await leaseVersion(dirname(dir), version, options);
  const owner = superviseChild<OwnerReady>({
    file: options.processFile ?? compiledModule('./index-process.js', import.meta.url),
    setup,
    jobDeadlineMs: searchDeadlineMs,
    heapMegabytes,
    nice: 0,
    yielding: options.besideOthers === true,
    onReady: flush,
    onRestart: (reason) => {
      options.onRestart?.(reason);
      if (owner.failing) for (const { reject } of waiting.splice(0)) reject(notReadyError());
    },
  });
  const { searchKind, labels } = await owner.started.catch(async (error: unknown) => {
    await lease.release();
    throw error;
  });
  owner.stopYielding();

  function flush(): void {
    while (waiting.length > 0 && owner.ready && owner.jobs < jobsAtOnce) {
      void send(waiting.splice(0, mostQuestions));
    }
  }

  async function send(questions: readonly Question[]): Promise<void> {
    const asked = questions.filter(({ options: { signal }, reject }) => {
      if (signal?.aborted === true) reject(signal.reason as Error);
      return signal?.aborted !== true;
    });
    if (asked.length === 0) return;
    const job: SearchJob = {
      ks: asked.map(({ options: { k } }) => k),
      shown: asked.map(({ options: { k, shown } }) => Math.min(k, shown)),
    };
    const embeddings = Buffer.concat(asked.map(({ embedding }) => bytesOf(embedding)));
    const outcome = await owner
      .run({ words: job, parts: [embeddings] })
      .catch((error: unknown) => error as Error);
    flush();
    try {
      if (outcome instanceof Error) throw outcome;
      settle(asked, outcome, labels);
    } catch (error) {
      for (const { reject } of asked) reject(error as Error);
    }
  }

  return {
    version: { name, version, examples: manifest.examples, labels: manifest.labels },
    searchKind,
    get ready() {
      return !closed && owner.ready;
    },
    search: (embedding, asked) =>
      new Promise((resolve, reject) => {
        if (closed) throw new NearvoteError('shutting_down', 'The server is shutting down');
        if (owner.failing) throw notReadyError();
        checkK(asked.k, manifest.examples);
        waiting.push({ embedding, options: asked, resolve, reject });
        if (flushing) return;
        flushing = true;
        // After every image of a batch has asked: promises come before ticks that they ask for.
        process.nextTick(() => {
          flushing = false;
          flush();
        });
      }),
    close: async () => {
      closed = true;
      await owner.drained();
      for (const { reject } of waiting.splice(0)) {
        reject(new NearvoteError('shutting_down', 'The server is shutting down'));
      }
      owner.stop();
      await lease.release();
    },
  };
}

function settle(questions: readonly Question[], { words, parts }: Frame, labels: readonly string[]): void {
  const { examples, searchMs } = words as SearchReply;
  const places = integersOf(parts[0]);
  const similarities = floatsOf(parts[1]);
  const labelAt = (place: number): string => {
    const label = labels[place];
    if (label !== undefined) return label;
    throw new NearvoteError(
      'internal',
      `Expected the place of a label below ${labels.length} but received ${place}`,
    );
  };
  let at = 0;
  for (const [i, { options, resolve }] of questions.entries()) {
    const end = at + options.k;
    resolve({
      labels: Array.from(places.subarray(at, end), labelAt),
      similarities: similarities.slice(at, end),
      examples: (examples[i] ?? []).map(([id, place, source]) => ({ id, label: labelAt(place), source })),
      searchMs,
    });
    at = end;
  }
}

function notReadyError(): NearvoteError {
  return new NearvoteError('not_ready', 'Expected an index that is searched but its process does not answer');
}
