import type { Entry } from './queue.js';
import type { BatchReply, BatchRequest } from './protocol.js';

/** Packs entries into one request: pixels side by side, k the largest asked for. */
export function packBatch(batch: number, entries: readonly Entry[]): BatchRequest {
  const size = entries[0]?.pixels.length ?? 0;
  const pixels = new Uint8Array(entries.length * size);
  let k = 0;
  let withEmbeddings = false;
  for (const [i, entry] of entries.entries()) {
    pixels.set(entry.pixels, i * size);
    k = Math.max(k, entry.options.k);
    withEmbeddings ||= entry.options.withEmbedding;
  }
  return { type: 'batch', batch, count: entries.length, k, withEmbeddings, pixels };
}

/** Hands each entry its own rows of the reply, which has just come. */
export function settleBatch(entries: readonly Entry[], reply: BatchReply): void {
  const count = entries.length;
  const dimension = reply.embeddings.length / count;
  const found = reply.rows.length / count;
  // A batch can wait in its worker's pipe too: whatever was not work was waiting.
  const begunAt = performance.now() - reply.encodeMs - reply.searchMs;
  for (const [i, entry] of entries.entries()) {
    const { k, withEmbedding } = entry.options;
    entry.resolve({
      embedding: withEmbedding ? reply.embeddings.slice(i * dimension, (i + 1) * dimension) : undefined,
      rows: reply.rows.slice(i * found, i * found + k),
      similarities: reply.similarities.slice(i * found, i * found + k),
      queueMs: Math.max(0, begunAt - entry.queuedAt),
      encodeMs: reply.encodeMs,
      searchMs: reply.searchMs,
      batchSize: count,
    });
  }
}
