/*
 * Index recall@20 of an index of which half was replaced by changes, before and after they are folded in: half of its
 * examples deleted, as many others added that lie as far from them as their nearest neighbours, and queries that do so too.
 *   npm run build && npx tsx bench/changes/recall.ts [--index index/cifar10]
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { compactIndex } from '../../src/build/compact.js';
import { asEmbeddings, type Embeddings } from '../../src/domain/embeddings.js';
import { createProgress } from '../../src/cli/output.js';
import { sampleRows } from '../../src/domain/seeded-random.js';
import { readPublished } from '../../src/examples/index-store.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../../src/neighbours/embedded-index.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { indexRecall, perturb, queriesOf, searchBeside, withoutOwn } from '../../src/neighbours/recall.js';

const { values } = parseArgs({ options: { index: { type: 'string', default: 'index/cifar10' } } });
const now = (): Date => new Date();
const k = 20;
const queryCount = 1_000;
const because = { reason: 'half of it is replaced', who: null };

const folder = await mkdtemp(join(tmpdir(), 'nearvote-recall-'));
const root = join(folder, basename(values.index));
await cp(values.index, root, { recursive: true });

const open = async (): Promise<EmbeddedIndex> =>
  openEmbeddedIndex({ ...(await readPublished(root)), search: 'auto', threads: 2, access: 'write', now });

/** All that lives in it, in its order. */
function embeddingsOf(index: EmbeddedIndex): Embeddings {
  const held = Array.from(index.positions(), (position) => [...Array.from(index.embeddingAt(position))]);
  return asEmbeddings(Float32Array.from(held.flat()), index.dimension);
}

/** Others than these rows of an index, each as far from its row as that one's nearest neighbour is. */
async function othersThan(embeddings: Embeddings, rows: Int32Array, seed: number): Promise<Embeddings> {
  const exact = await createExactSearcher({ embeddings, threads: 2 });
  const queries = queriesOf(embeddings, rows);
  const neighbours = withoutOwn(await searchBeside(exact, queries, k), rows);
  await exact.close();
  return perturb({ queries, neighbours, seed });
}

async function measure(index: EmbeddedIndex, when: string): Promise<void> {
  const embeddings = embeddingsOf(index);
  const rows = sampleRows({ size: embeddings.count, count: queryCount, seed: 2 });
  const asked = await othersThan(embeddings, rows, 3);
  const exact = await createExactSearcher({ embeddings, threads: 2 });
  const recall = indexRecall({ found: await index.search(asked, k), exact: await exact.search(asked, k) });
  await exact.close();
  console.log(
    `${when}: index recall@${k} ${recall.value.toFixed(4)} of ${recall.queries} queries, ${index.searchKind} search`,
  );
}

const index = await open();
if (index.searchKind !== 'hnsw') throw new Error('Expected a graph: exact search misses nothing');
await measure(index, `as it was built, ${index.size} examples`);
const before = embeddingsOf(index);
const rows = sampleRows({ size: before.count, count: Math.floor(before.count / 2), seed: 1 });
const others = await othersThan(before, rows, 4);
const replaced = Array.from(rows, (row) => index.exampleAt(row));
const acts = replaced.map(({ id }) => ({ kind: 'delete', id }) as const);
await index.change({ kind: 'edit', acts, ...because });
const examples = replaced.map(({ label }, i) => ({
  ...{ id: `other-${i}`, label, source: 'drawn', digest: i.toString(16).padStart(64, '0') },
  embedding: others.values.slice(i * others.dimension, (i + 1) * others.dimension),
}));
await index.change({ kind: 'add', examples, ...because });
await measure(index, `half of it replaced by ${index.sequence} changes`);
await index.close();

const progress = createProgress();
await compactIndex({ root, keep: 1, threads: 2, progress, now });
progress.finish();
const compacted = await open();
await measure(compacted, 'folded into a new version');
await compacted.close();
await rm(folder, { recursive: true });
