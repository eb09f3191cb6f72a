/* The process that holds an index; neighbours/index-owner.ts starts it. */
import { asEmbeddings } from '../domain/embeddings.js';
import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { answerParent } from '../processes/child.js';
import { bytesOf, floatsOf, type Frame } from '../processes/frames.js';
import type { OwnerReady, OwnerSetup, SearchJob, SearchReply } from './index-owner.js';
import { readVersion } from '../examples/index-store.js';
import { openSearcher } from './open-searcher.js';
import type { NearestRows, Searcher } from './searcher.js';

interface Held {
  readonly searcher: Searcher;
  readonly examples: readonly Example[];
  readonly placeOf: ReadonlyMap<string, number>;
}

let held: Held | undefined;

async function setUp(setup: unknown): Promise<OwnerReady> {
  const { dir, manifest, search, threads } = setup as OwnerSetup;
  const examples = await readVersion({ dir, manifest });
  const searcher = await openSearcher({ dir, manifest, mode: search, threads });
  // The first search allocates; it is paid here, before anybody waits.
  const direction = new Float32Array(searcher.dimension);
  direction[0] = 1;
  await searcher.search(asEmbeddings(direction, searcher.dimension), 1);
  const labels = manifest.labels.map(({ label }) => label);
  held = { searcher, examples, placeOf: new Map(labels.map((label, place) => [label, place])) };
  return { searchKind: searcher.kind, labels };
}

/** Queries of one k are searched together, those of another k apart: no answer depends on another's k. */
async function run({ words, parts: [queries] }: Frame): Promise<Frame> {
  if (held === undefined) throw new NearvoteError('not_ready', 'Expected a setup before the first search');
  const started = performance.now();
  const { ks, shown } = words as SearchJob;
  const { searcher, examples, placeOf } = held;
  const { dimension } = searcher;
  const embeddings = floatsOf(queries);
  const found: { nearest: NearestRows; at: number }[] = [];
  for (const k of new Set(ks)) {
    const asking = ks.flatMap((one, query) => (one === k ? [query] : []));
    const rows = new Float32Array(asking.length * dimension);
    for (const [i, query] of asking.entries()) {
      rows.set(embeddings.subarray(query * dimension, (query + 1) * dimension), i * dimension);
    }
    const nearest = await searcher.search(asEmbeddings(rows, dimension), k);
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
      const { id, label, source } = exampleAt(examples, nearest.rows[i] ?? -1);
      const place = placeOf.get(label);
      if (place === undefined) throw unknownLabel(label);
      places[out] = place;
      similarities[out++] = nearest.similarities[i] ?? NaN;
      if (names.length < (shown[query] ?? 0)) names.push([id, place, source]);
    }
    named.push(names);
  }
  const reply: SearchReply = { examples: named, searchMs: performance.now() - started };
  return { words: reply, parts: [bytesOf(places), bytesOf(similarities)] };
}

function exampleAt(examples: readonly Example[], row: number): Example {
  const example = examples[row];
  if (example !== undefined) return example;
  throw new NearvoteError('internal', `Expected a row below ${examples.length} but received ${row}`);
}

/** A guess would be a wrong answer that nobody notices. */
function unknownLabel(label: string): NearvoteError {
  return new NearvoteError(
    'internal',
    `Expected a label of manifest.json but received ${JSON.stringify(label)}`,
  );
}

answerParent({ setUp, run });
