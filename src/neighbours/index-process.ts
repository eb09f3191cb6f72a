/* The process that holds an index; neighbours/index-owner.ts starts it. */
import { asEmbeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { answerParent } from '../processes/child.js';
import { bytesOf, floatsOf, type Frame } from '../processes/frames.js';
import { requestOf } from './change-job.js';
import { openEmbeddedIndex, type EmbeddedIndex } from './embedded-index.js';
import type {
  AskReply,
  News,
  OwnerJob,
  OwnerReady,
  OwnerSetup,
  SearchJob,
  SearchReply,
} from './owner-messages.js';
import type { NearestRows } from './searcher.js';

let held: EmbeddedIndex | undefined;
/** Places of labels, as the parent knows them. */
const placeOf = new Map<string, number>();
let untold: string[] = [];
/** Of the state that the parent knows. */
let toldSequence = NaN;

async function setUp(setup: unknown): Promise<OwnerReady> {
  const index = await openEmbeddedIndex({ ...(setup as OwnerSetup), now: () => new Date() });
  const { searchKind, dimension } = index;
  // The first search allocates; it is paid here, before anybody waits.
  const direction = new Float32Array(dimension);
  direction[0] = 1;
  await index.search(asEmbeddings(direction, dimension), Math.min(1, index.size));
  held = index;
  const state = index.state();
  for (const { label } of state.labels) place(label);
  return { searchKind, ...news(index), state };
}

async function run({ words, parts }: Frame): Promise<Frame> {
  if (held === undefined) throw new NearvoteError('not_ready', 'Expected a setup before the first job');
  const job = words as OwnerJob;
  if (job.ask === 'search') return search(held, job, floatsOf(parts[0]));
  const { answer, bytes } = await answerTo(held, job, parts);
  const reply: AskReply = { ...answer, ...news(held) };
  return { words: reply, parts: bytes === undefined ? [] : [bytes] };
}

/** Queries of one k are searched together, those of another k apart: no answer depends on another's k. */
async function search(index: EmbeddedIndex, job: SearchJob, queries: Float32Array): Promise<Frame> {
  const started = performance.now();
  const { dimension } = index;
  const { size } = index;
  // Nothing is found for a k that is too large: it has no part in the answers to others.
  const ks = job.ks.map((k, query) => (job.clamped[query] === true ? Math.min(k, size) : k > size ? 0 : k));
  const found: { nearest: NearestRows; at: number }[] = [];
  for (const k of new Set(ks)) {
    const asking = ks.flatMap((one, query) => (one === k ? [query] : []));
    const rows = new Float32Array(asking.length * dimension);
    for (const [i, query] of asking.entries()) {
      rows.set(queries.subarray(query * dimension, (query + 1) * dimension), i * dimension);
    }
    const nearest = await index.search(asEmbeddings(rows, dimension), k);
    for (const [i, query] of asking.entries()) found[query] = { nearest, at: i * k };
  }

  const total = ks.reduce((sum, k) => sum + k, 0);
  const places = new Uint32Array(total);
  const similarities = new Float32Array(total);
  const named: [string, number, string][][] = [];
  let out = 0;
  for (const [query, { nearest, at }] of found.entries()) {
    const names: [string, number, string][] = [];
    for (let i = at; i < at + nearest.k; i++) {
      const { id, label, source } = index.exampleAt(nearest.rows[i] ?? -1);
      const labelPlace = place(label);
      places[out] = labelPlace;
      similarities[out++] = nearest.similarities[i] ?? NaN;
      if (names.length < (job.shown[query] ?? 0)) names.push([id, labelPlace, source]);
    }
    named.push(names);
  }
  const reply: SearchReply = {
    found: ks,
    examples: named,
    searchMs: performance.now() - started,
    ...news(index),
  };
  return { words: reply, parts: [bytesOf(places), bytesOf(similarities)] };
}

/** What was asked for wrongly is part of an answer: an error would be taken for a fault of this process. */
async function answerTo(
  index: EmbeddedIndex,
  job: Exclude<OwnerJob, SearchJob>,
  parts: Frame['parts'],
): Promise<{ readonly answer: Pick<AskReply, 'answer' | 'error'>; readonly bytes?: Uint8Array }> {
  try {
    switch (job.ask) {
      case 'change':
        return { answer: { answer: await index.change(requestOf(job, parts)) } };
      case 'example':
        return { answer: { answer: index.example(job.id) } };
      case 'labelsOf':
        return { answer: { answer: index.labelsOf(job.ids) } };
      case 'picture': {
        const { bytes, mediaType } = index.picture(job.id);
        return { answer: { answer: mediaType }, bytes };
      }
      case 'list':
        return { answer: { answer: index.list(job.options) } };
      case 'log':
        return { answer: { answer: index.log(job.options) } };
      case 'follow':
        await index.follow();
        return { answer: {} };
      case 'close':
        await index.close();
        return { answer: {} };
    }
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    return { answer: { error: { code: error.code, message: error.message } } };
  }
}

function place(label: string): number {
  const known = placeOf.get(label);
  if (known !== undefined) return known;
  const next = placeOf.size;
  placeOf.set(label, next);
  untold.push(label);
  return next;
}

function news(index: EmbeddedIndex): News {
  const newLabels = untold;
  untold = [];
  if (index.sequence === toldSequence) return { newLabels };
  toldSequence = index.sequence;
  return { newLabels, state: index.state() };
}

answerParent({ setUp, run });
