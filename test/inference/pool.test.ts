import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Inference } from '../../src/inference/inference.js';
import { createInferencePool, type InferencePoolOptions } from '../../src/inference/pool.js';

/** What scripted-worker.mjs does on these first pixels. */
const deed = { work: 0, exit: 1, throw: 2, loop: 3, abort: 4, heap: 5, fail: 6 };
const ask = { k: 2, withEmbedding: false };
const image = (first: number, last: number): Uint8Array => Uint8Array.of(first, 0, last);

let open: Inference | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function pool(
  options: Partial<InferencePoolOptions> & { encoderDir?: string } = {},
): Promise<Inference> {
  const { encoderDir = 'fine', ...rest } = options;
  open = await createInferencePool({
    workerFile: new URL('./scripted-worker.mjs', import.meta.url),
    setup: { encoderDir, indexDir: undefined, threads: 1, search: 'auto' },
    workers: 1,
    maxBatch: 8,
    maxQueue: 100,
    batchDeadlineMs: 10_000,
    ...rest,
  });
  return open;
}

describe('the inference pool', () => {
  it('hands every image its own rows, whatever batch it travelled in', async () => {
    const inference = await pool({ workers: 2 });
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        inference.infer(image(deed.work, i), { k: 1 + (i % 3), withEmbedding: i % 2 === 0 }),
      ),
    );
    for (const [i, answer] of answers.entries()) {
      expect([...answer.rows]).toEqual([i, i + 1, i + 2].slice(0, 1 + (i % 3)));
      expect(answer.embedding && [...answer.embedding]).toEqual(i % 2 === 0 ? [i, i + 1] : undefined);
      expect(answer.batchSize).toBeLessThanOrEqual(8);
    }
  });

  it('takes what has gathered, up to the largest batch, and no clock is waited for', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'nearvote-')), 'batches');
    const inference = await pool({ encoderDir: file });
    await Promise.all(Array.from({ length: 20 }, () => inference.infer(image(deed.work, 1), ask)));
    const sizes = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[1]));
    expect(sizes).toEqual([8, 8, 4]);
  });

  it('shares what has gathered between free workers', async () => {
    const sizes: number[] = [];
    const inference = await pool({ workers: 2, onBatch: (size) => sizes.push(size) });
    await Promise.all(Array.from({ length: 8 }, () => inference.infer(image(deed.work, 1), ask)));
    expect(sizes).toEqual([4, 4]);
  });

  it('hands over a full batch at once, without waiting for the turn to end', async () => {
    const sizes: number[] = [];
    const inference = await pool({ maxBatch: 2, onBatch: (size) => sizes.push(size) });
    const answers = [1, 2, 3].map((last) => inference.infer(image(deed.work, last), ask));
    expect([sizes, inference.queueDepth]).toEqual([[2], 1]);
    await Promise.all(answers);
    expect(sizes).toEqual([2, 1]);
  });

  it('lays a full batch in a busy worker, and keeps what is less for whoever is free first', async () => {
    const sizes: number[] = [];
    const inference = await pool({ maxBatch: 2, onBatch: (size) => sizes.push(size) });
    const answers = [1, 2, 3, 4, 5, 6, 7].map((last) => inference.infer(image(deed.work, last), ask));
    await new Promise(setImmediate);
    // One batch at work, one behind it; the third waits here, where it can still grow.
    expect([sizes, inference.queueDepth]).toEqual([[2, 2], 3]);
    expect((await Promise.all(answers)).map(({ rows }) => rows[0])).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(7);
  });

  it('fails both batches that a dying worker holds, and serves the next', async () => {
    const inference = await pool({ maxBatch: 1 });
    const doomed = inference.infer(image(deed.exit, 1), ask);
    await new Promise(setImmediate);
    const behind = inference.infer(image(deed.work, 2), ask);
    await expect(doomed).rejects.toMatchObject({ code: 'worker_failed' });
    await expect(behind).rejects.toMatchObject({ code: 'worker_failed' });
    expect((await inference.infer(image(deed.work, 3), ask)).rows[0]).toBe(3);
  });

  it('refuses an image past the queue bound at once', async () => {
    const inference = await pool({ maxQueue: 3 });
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => inference.infer(image(deed.work, 1), ask)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(results[4]).toMatchObject({ status: 'rejected', reason: { code: 'overloaded' } });
  });

  it('drops an aborted image from the queue and serves the rest', async () => {
    const inference = await pool();
    const gone = new AbortController();
    const dropped = inference.infer(image(deed.work, 1), { ...ask, signal: gone.signal });
    const kept = inference.infer(image(deed.work, 2), ask);
    gone.abort();
    await expect(dropped).rejects.toMatchObject({ code: 'client_gone' });
    expect((await kept).batchSize).toBe(1);
    await expect(
      inference.infer(image(deed.work, 1), { ...ask, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'client_gone' });
    expect(inference.queueDepth).toBe(0);
  });

  it.each(['exit', 'throw', 'abort', 'heap', 'loop'] as const)(
    'fails only its own images when a worker meets %s, replaces it and goes on',
    async (kind) => {
      const restarts: string[] = [];
      const inference = await pool({
        batchDeadlineMs: kind === 'heap' ? 25_000 : 500,
        onRestart: (reason) => restarts.push(reason),
      });
      await expect(inference.infer(image(deed[kind], 0), ask)).rejects.toMatchObject({
        code: 'worker_failed',
      });
      expect(inference.ready).toBe(false);
      // Asked while no worker is there: waits for the replacement.
      expect([...(await inference.infer(image(deed.work, 9), ask)).rows]).toEqual([9, 10]);
      expect(inference.ready).toBe(true);
      expect(restarts).toHaveLength(1);
    },
    40_000,
  );

  it('keeps a worker that only failed a batch', async () => {
    const inference = await pool({
      onRestart: () => {
        throw new Error('the worker was replaced');
      },
    });
    await expect(inference.infer(image(deed.fail, 0), ask)).rejects.toMatchObject({ code: 'worker_failed' });
    expect([...(await inference.infer(image(deed.work, 4), ask)).rows]).toEqual([4, 5]);
  });

  it('rejects with what the setup threw, and leaves nothing running', async () => {
    await expect(pool({ encoderDir: 'broken', workers: 2 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: 'broken on purpose',
    });
  });

  it('starts its workers one after another beside others, and tells of it when the first cannot start', async () => {
    const inference = await pool({ workers: 2, besideOthers: true });
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => inference.infer(image(deed.work, i), ask)),
    );
    expect(answers.map(({ rows }) => rows[0])).toEqual(Array.from({ length: 16 }, (_, i) => i));
    await inference.close();
    await expect(pool({ encoderDir: 'broken', workers: 2, besideOthers: true })).rejects.toMatchObject({
      code: 'encoder_invalid',
    });
  });

  // Nice values of threads are read from /proc; only the privileged may lower one again.
  it.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
    'keeps its workers a little nicer than itself, all their threads alike, once they are ready',
    async () => {
      const file = join(mkdtempSync(join(tmpdir(), 'nearvote-')), 'batches');
      const inference = await pool({ encoderDir: file, besideOthers: true });
      await inference.infer(image(deed.work, 1), ask);
      const worker = Number(readFileSync(file, 'utf8').split(' ')[0]);
      const nices = readdirSync(`/proc/${worker}/task`).map((thread) => getPriority(Number(thread)));
      expect(new Set(nices)).toEqual(new Set([getPriority() + 5]));
    },
  );

  it('rejects when a worker dies while starting', async () => {
    await expect(pool({ encoderDir: 'dies-at-start' })).rejects.toMatchObject({
      code: 'worker_failed',
      message: expect.stringContaining('exit code 7') as string,
    });
  });

  it('lets the batches that a worker holds finish when closed, and refuses what waits and what comes later', async () => {
    const inference = await pool({ maxBatch: 1 });
    const first = inference.infer(image(deed.work, 3), ask);
    await new Promise(setImmediate);
    // A full batch of one: it lies in the worker behind the first.
    const second = inference.infer(image(deed.work, 4), ask);
    await new Promise(setImmediate);
    const third = inference.infer(image(deed.work, 5), ask);
    const refused = expect(third).rejects.toMatchObject({ code: 'shutting_down' });
    await inference.close();
    expect([...(await first).rows]).toEqual([3, 4]);
    expect([...(await second).rows]).toEqual([4, 5]);
    await refused;
    await expect(inference.infer(image(deed.work, 6), ask)).rejects.toMatchObject({ code: 'shutting_down' });
    expect(inference.ready).toBe(false);
  });
});
