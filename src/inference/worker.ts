import { NearvoteError } from '../domain/errors.js';
import type { Encoder } from '../encoder/encoder.js';
import { loadEncoder } from '../encoder/load.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import type { Searcher } from '../neighbours/searcher.js';
import { connectToPool } from './channel.js';
import type { BatchReply, BatchRequest, FailureReply, WorkerSetup } from './protocol.js';

/** What a worker holds once it is set up. */
interface Pair {
  readonly encoder: Encoder;
  readonly searcher: Searcher | undefined;
}

let pair: Pair | undefined;

async function setUp(setup: WorkerSetup): Promise<Pair> {
  const encoder = await loadEncoder(setup.encoderDir, { threads: setup.threads });
  const searcher =
    setup.indexDir === undefined
      ? undefined
      : await openSearcher({ dir: setup.indexDir, mode: setup.search, threads: setup.threads });
  // The first runs allocate; they are paid here, before anybody waits.
  const { width, height } = encoder.manifest.input;
  for (const count of [1, setup.warmupBatch]) {
    const embeddings = await encoder.embed(new Uint8Array(count * width * height * 3), count);
    await searcher?.search(embeddings, 1);
  }
  return { encoder, searcher };
}

async function run({ encoder, searcher }: Pair, request: BatchRequest): Promise<BatchReply> {
  const started = performance.now();
  const embeddings = await encoder.embed(request.pixels, request.count);
  const encoded = performance.now();
  const found = request.k > 0 ? await searcher?.search(embeddings, request.k) : undefined;
  return {
    type: 'batch',
    batch: request.batch,
    embeddings: request.withEmbeddings ? embeddings.values : new Float32Array(0),
    rows: found?.rows ?? new Int32Array(0),
    similarities: found?.similarities ?? new Float32Array(0),
    encodeMs: encoded - started,
    searchMs: performance.now() - encoded,
  };
}

function failure(batch: number | undefined, error: unknown): FailureReply {
  const code = error instanceof NearvoteError ? error.code : 'worker_failed';
  return { type: 'failure', batch, code, message: error instanceof Error ? error.message : String(error) };
}

connectToPool(async (request) => {
  try {
    if (request.type === 'setup') {
      pair = await setUp(request.setup);
      return { type: 'ready', searchKind: pair.searcher?.kind ?? 'none' };
    }
    if (pair === undefined) throw new NearvoteError('not_ready', 'Expected a setup before the first batch');
    return await run(pair, request);
  } catch (error) {
    return failure(request.type === 'batch' ? request.batch : undefined, error);
  }
});
