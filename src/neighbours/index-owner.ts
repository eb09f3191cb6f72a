import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NearvoteError } from '../domain/errors.js';
import type { IndexManifest } from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { bytesOf, floatsOf, integersOf, type Frame } from '../processes/frames.js';
import { compiledModule, superviseChild } from '../processes/supervised-child.js';
import { changeJob } from './change-job.js';
import {
  checkReached,
  type IndexState,
  type Nearest,
  type NearestOptions,
  type Neighbours,
} from './neighbours.js';
import type {
  AskReply,
  News,
  OwnerJob,
  OwnerReady,
  OwnerSetup,
  SearchJob,
  SearchReply,
} from './owner-messages.js';
import { checkK } from './searcher.js';

export interface IndexOwnerOptions {
  readonly name: string;
  readonly version: string;
  /** The version's folder. */
  readonly dir: string;
  readonly manifest: IndexManifest;
  readonly search: 'auto' | 'exact';
  /** Of exact search. */
  readonly threads: number;
  /** Whether the index may be changed through this owner, which holds the writer's lock then; no unless told. */
  readonly access?: 'read' | 'write' | undefined;
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
/** What is not closed in order by then is killed: the journal is whole at any moment. */
const longestCloseMs = 2_000;

/**
 * The one process of a server that holds an index. It is a process and not a thread, because a fault in native code then
 * ends it alone (docs/decisions/012). The version is leased: no build removes it meanwhile.
 * @throws NearvoteError `index_missing` when the version was removed meanwhile, `index_invalid`, `worker_failed`
 */
export async function openIndexOwner(options: IndexOwnerOptions): Promise<Neighbours> {
  const { name, version, dir, manifest, search, threads, access = 'read' } = options;
  const waiting: Question[] = [];
  /** What somebody waits for. */
  const owed = new Set<Promise<Frame>>();
  let flushing = false;
  let closed = false;
  /** What the process that answers now has told of itself. */
  let state: IndexState = {
    ...{ sequence: manifest.sequence ?? 0, examples: manifest.examples, labels: manifest.labels },
    changed: 0,
  };
  let labels: string[] = [];
  const setup: OwnerSetup = { dir, manifest, search, threads, access };
  const lease = await leaseVersion(dirname(dir), version, options);
  const owner = superviseChild<OwnerReady>({
    file: options.processFile ?? compiledModule('./index-process.js', import.meta.url),
    setup,
    jobDeadlineMs: options.searchDeadlineMs ?? defaultDeadlineMs,
    heapMegabytes,
    nice: 0,
    yielding: options.besideOthers === true,
    onSetUp: (ready) => {
      labels = [];
      hear(ready);
    },
    onReady: flush,
    onRestart: (reason) => {
      options.onRestart?.(reason);
      if (owner.failing) for (const { reject } of waiting.splice(0)) reject(notReadyError());
    },
  });
  const { searchKind } = await owner.started.catch(async (error: unknown) => {
    await lease.release();
    throw error;
  });
  owner.stopYielding();

  function hear(news: News): void {
    labels.push(...news.newLabels);
    if (news.state !== undefined) state = news.state;
  }

  function flush(): void {
    while (waiting.length > 0 && owner.ready && owner.jobs < jobsAtOnce) {
      void send(waiting.splice(0, mostQuestions));
    }
  }

  /** A job that closing waits for. */
  function run(job: Frame): Promise<Frame> {
    const running = owner.run(job).finally(() => owed.delete(running));
    owed.add(running);
    return running;
  }

  async function send(questions: readonly Question[]): Promise<void> {
    const asked = questions.filter(({ options: { signal }, reject }) => {
      if (signal?.aborted === true) reject(signal.reason as Error);
      return signal?.aborted !== true;
    });
    if (asked.length === 0) return;
    const job: SearchJob = {
      ask: 'search',
      ks: asked.map(({ options: { k } }) => k),
      clamped: asked.map(({ options: { clamped = false } }) => clamped),
      shown: asked.map(({ options: { shown } }) => shown),
    };
    const embeddings = Buffer.concat(asked.map(({ embedding }) => bytesOf(embedding)));
    const outcome = await run({ words: job, parts: [embeddings] }).catch((error: unknown) => error as Error);
    flush();
    try {
      if (outcome instanceof Error) throw outcome;
      hear(outcome.words as SearchReply);
      settle(asked, outcome, { labels, state });
    } catch (error) {
      for (const { reject } of asked) reject(error as Error);
    }
  }

  /** Anything but a search; beside other jobs, in order. */
  async function ask(job: Exclude<OwnerJob, SearchJob>, parts: Frame['parts'] = []): Promise<Frame> {
    if (closed) throw closedError();
    if (owner.failing) throw notReadyError();
    const frame = await (job.ask === 'follow'
      ? owner.run({ words: job, parts })
      : run({ words: job, parts }));
    const { error, ...news } = frame.words as AskReply;
    hear(news);
    flush();
    if (error !== undefined) throw new NearvoteError(error.code, error.message);
    return frame;
  }

  async function answerTo<Answer>(
    job: Exclude<OwnerJob, SearchJob>,
    parts?: Frame['parts'],
  ): Promise<Answer> {
    return ((await ask(job, parts)).words as AskReply).answer as Answer;
  }

  /** What another process has acknowledged lies in the journal: it is taken over where it is asked for. */
  async function reach(atLeast: number | undefined): Promise<void> {
    if (atLeast === undefined || state.sequence >= atLeast) return;
    await ask({ ask: 'follow' });
    checkReached(state.sequence, atLeast);
  }

  function searchNow(embedding: Float32Array, asked: NearestOptions): Promise<Nearest> {
    return new Promise((resolve, reject) => {
      if (closed) throw closedError();
      if (owner.failing) throw notReadyError();
      if (asked.clamped !== true) checkK(asked.k, state.examples);
      waiting.push({ embedding, options: asked, resolve, reject });
      if (flushing) return;
      flushing = true;
      // After every image of a batch has asked: promises come before ticks that they ask for.
      process.nextTick(() => {
        flushing = false;
        flush();
      });
    });
  }

  return {
    version: { name, version },
    searchKind,
    get state() {
      return state;
    },
    get ready() {
      return !closed && owner.ready;
    },
    search: (embedding, asked) =>
      asked.atLeast === undefined
        ? searchNow(embedding, asked)
        : reach(asked.atLeast).then(() => searchNow(embedding, asked)),
    change: (request) => answerTo(...changeJob(request)),
    example: (id) => answerTo({ ask: 'example', id }),
    labelsOf: (ids) => answerTo({ ask: 'labelsOf', ids }),
    picture: async (id) => {
      const { words, parts } = await ask({ ask: 'picture', id });
      return { bytes: parts[0] ?? new Uint8Array(0), mediaType: String((words as AskReply).answer) };
    },
    list: async (asked) => {
      await reach(asked.atLeast);
      return answerTo({ ask: 'list', options: asked });
    },
    log: (asked) => answerTo({ ask: 'log', options: asked }),
    follow: async () => {
      await ask({ ask: 'follow' });
      return state;
    },
    close: async () => {
      closed = true;
      await Promise.allSettled(owed);
      for (const { reject } of waiting.splice(0)) reject(closedError());
      const last: OwnerJob = { ask: 'close' };
      if (access === 'write') {
        const inOrder = owner.run({ words: last, parts: [] }).catch(() => undefined);
        await Promise.race([inOrder, sleep(longestCloseMs, undefined, { ref: false })]);
      }
      owner.stop();
      await lease.release();
    },
  };
}

interface Heard {
  readonly labels: readonly string[];
  readonly state: IndexState;
}

function settle(questions: readonly Question[], { words, parts }: Frame, { labels, state }: Heard): void {
  const { found, examples, searchMs } = words as SearchReply;
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
  for (const [i, { options, resolve, reject }] of questions.entries()) {
    const end = at + (found[i] ?? 0);
    if (end === at) {
      reject(nothingFound(options.k, state.examples));
      continue;
    }
    resolve({
      labels: Array.from(places.subarray(at, end), labelAt),
      similarities: similarities.slice(at, end),
      examples: (examples[i] ?? []).map(([id, place, source]) => ({ id, label: labelAt(place), source })),
      state,
      searchMs,
    });
    at = end;
  }
}

/** It was emptied, or became smaller, after the question was asked. */
function nothingFound(k: number, size: number): NearvoteError {
  return size === 0
    ? new NearvoteError('index_empty', 'Expected an index with examples but it has none')
    : new NearvoteError(
        'k_too_large',
        `Expected k to be at most ${size}, the size of the index, but received ${k}`,
      );
}

function closedError(): NearvoteError {
  return new NearvoteError('shutting_down', 'The server is shutting down');
}

function notReadyError(): NearvoteError {
  return new NearvoteError('not_ready', 'Expected an index that is searched but its process does not answer');
}
