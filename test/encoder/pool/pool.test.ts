import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { longestTimerMs } from '../../../src/domain/duration.js';
import type { EncoderManifest } from '../../../src/encoder/manifest.js';
import {
  createEncoderPool,
  type EncoderPool,
  type EncoderPoolOptions,
} from '../../../src/encoder/pool/pool.js';

/** What scripted-worker.mjs does on these first pixels. */
const deed = { work: 0, exit: 1, throw: 2, loop: 3, abort: 4, heap: 5, fail: 6 };
const image = (first: number, last: number): Uint8Array => Uint8Array.of(first, 0, last);

let open: EncoderPool | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function pool(options: Partial<EncoderPoolOptions> = {}): Promise<EncoderPool> {
  open = await createEncoderPool({
    workerFile: new URL('./scripted-worker.mjs', import.meta.url),
    encoderDir: 'fine',
    manifest: {} as EncoderManifest,
    workers: 1,
    threads: 1,
    maxBatch: 8,
    maxQueue: 100,
    batchDeadlineMs: 10_000,
    ...options,
  });
  return open;
}

/** A file in which the scripted worker writes a line a batch: its pid, how many images, and whether it is wide. */
function batchFile(): string {
  return join(mkdtempSync(join(tmpdir(), 'nearvote-')), 'batches');
}

describe('the encoder pool', () => {
  it('hands every image its own embedding, whatever batch it travelled in', async () => {
    const encoders = await pool({ workers: 2 });
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => encoders.embed(image(deed.work, i))),
    );
    for (const [i, answer] of answers.entries()) {
      expect([...answer.embedding]).toEqual([i, i + 1]);
      expect(answer.batchSize).toBeLessThanOrEqual(8);
    }
  });

  it('takes what has gathered, up to the largest batch, and no clock is waited for', async () => {
    const file = batchFile();
    const encoders = await pool({ encoderDir: file });
    await Promise.all(Array.from({ length: 20 }, () => encoders.embed(image(deed.work, 1))));
    const sizes = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[1]));
    expect(sizes).toEqual([8, 8, 4]);
  });

  it.each([
    [15, [16, 4]],
    [60, [4, 4, 4, 4, 4]],
    [400, Array.from({ length: 20 }, () => 1)],
  ])('sends an encoder of %i ms an image batches that take 250 ms, unless told', async (ms, expected) => {
    const sizes: number[] = [];
    const options = { onBatch: (size: number) => sizes.push(size), maxBatch: undefined };
    const encoders = await pool({ ...options, encoderDir: `/slow-${ms}` });
    await Promise.all(Array.from({ length: 20 }, () => encoders.embed(image(deed.work, 1))));
    expect(sizes).toEqual(expected);
  });

  it('shares what has gathered between free workers', async () => {
    const sizes: number[] = [];
    const encoders = await pool({ workers: 2, onBatch: (size) => sizes.push(size) });
    await Promise.all(Array.from({ length: 8 }, () => encoders.embed(image(deed.work, 1))));
    expect(sizes).toEqual([4, 4]);
  });

  it('spreads a lone image over every core, and shares two or more between the workers', async () => {
    const file = batchFile();
    const encoders = await pool({ encoderDir: file, workers: 2, maxBatch: 16, wide: true });
    const embedAtOnce = (count: number): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, () => encoders.embed(image(deed.work, 1))));
    await embedAtOnce(1);
    await embedAtOnce(2);
    await embedAtOnce(12);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const batches = lines.map((line) => line.split(' ').slice(1).join(' '));
    expect(batches).toEqual(['1 true', '1 false', '1 false', '6 false', '6 false']);
  });

  it('hands over a full batch at once, without waiting for the turn to end', async () => {
    const sizes: number[] = [];
    const encoders = await pool({ maxBatch: 2, onBatch: (size) => sizes.push(size) });
    const answers = [1, 2, 3].map((last) => encoders.embed(image(deed.work, last)));
    expect([sizes, encoders.queueDepth]).toEqual([[2], 1]);
    await Promise.all(answers);
    expect(sizes).toEqual([2, 1]);
  });

  it('lays a full batch in a busy worker, and keeps what is less for whoever is free first', async () => {
    const sizes: number[] = [];
    const encoders = await pool({ maxBatch: 2, onBatch: (size) => sizes.push(size) });
    const answers = [1, 2, 3, 4, 5, 6, 7].map((last) => encoders.embed(image(deed.work, last)));
    await new Promise(setImmediate);
    // One batch at work, one behind it; the third waits here, where it can still grow.
    expect([sizes, encoders.queueDepth]).toEqual([[2, 2], 3]);
    expect((await Promise.all(answers)).map(({ embedding }) => embedding[0])).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(7);
  });

  it('fails both batches that a dying worker holds, and serves the next', async () => {
    const encoders = await pool({ maxBatch: 1 });
    const doomed = encoders.embed(image(deed.exit, 1));
    await new Promise(setImmediate);
    const behind = encoders.embed(image(deed.work, 2));
    await expect(doomed).rejects.toMatchObject({ code: 'worker_failed' });
    await expect(behind).rejects.toMatchObject({ code: 'worker_failed' });
    expect((await encoders.embed(image(deed.work, 3))).embedding[0]).toBe(3);
  });

  it('refuses an image past the queue bound at once', async () => {
    const encoders = await pool({ maxQueue: 3 });
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => encoders.embed(image(deed.work, 1))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(results[4]).toMatchObject({ status: 'rejected', reason: { code: 'overloaded' } });
  });

  it('drops an aborted image from the queue and serves the rest', async () => {
    const encoders = await pool();
    const gone = new AbortController();
    const dropped = encoders.embed(image(deed.work, 1), { signal: gone.signal });
    const kept = encoders.embed(image(deed.work, 2));
    gone.abort();
    await expect(dropped).rejects.toMatchObject({ code: 'client_gone' });
    expect((await kept).batchSize).toBe(1);
    await expect(encoders.embed(image(deed.work, 1), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'client_gone',
    });
    expect(encoders.queueDepth).toBe(0);
  });

  it.each(['exit', 'throw', 'abort', 'heap', 'loop'] as const)(
    'fails only its own images when a worker meets %s, replaces it and goes on',
    async (kind) => {
      const restarts: string[] = [];
      const encoders = await pool({
        batchDeadlineMs: kind === 'heap' ? 25_000 : 500,
        onRestart: (reason) => restarts.push(reason),
      });
      await expect(encoders.embed(image(deed[kind], 0))).rejects.toMatchObject({
        code: 'worker_failed',
      });
      expect(encoders.ready).toBe(false);
      // Asked while no worker is there: waits for the replacement.
      expect([...(await encoders.embed(image(deed.work, 9))).embedding]).toEqual([9, 10]);
      expect(encoders.ready).toBe(true);
      expect(restarts).toHaveLength(1);
    },
    40_000,
  );

  it('gives a replacement time to start where the deadline is the longest that a timer can wait for', async () => {
    const encoders = await pool({ batchDeadlineMs: longestTimerMs });
    await expect(encoders.embed(image(deed.exit, 0))).rejects.toMatchObject({ code: 'worker_failed' });
    expect((await encoders.embed(image(deed.work, 9))).embedding[0]).toBe(9);
  });

  it('keeps a worker that only failed a batch', async () => {
    const encoders = await pool({
      onRestart: () => {
        throw new Error('the worker was replaced');
      },
    });
    await expect(encoders.embed(image(deed.fail, 0))).rejects.toMatchObject({ code: 'worker_failed' });
    expect([...(await encoders.embed(image(deed.work, 4))).embedding]).toEqual([4, 5]);
  });

  it('fails at once what waits, and what comes, when no worker can be started any more', async () => {
    const restarts: string[] = [];
    const encoders = await pool({
      encoderDir: join(mkdtempSync(join(tmpdir(), 'nearvote-')), 'once'),
      onRestart: (reason) => restarts.push(reason),
    });
    const doomed = encoders.embed(image(deed.exit, 1));
    await expect(doomed).rejects.toMatchObject({ code: 'worker_failed' });
    await expect(encoders.embed(image(deed.work, 2))).rejects.toMatchObject({ code: 'not_ready' });
    expect(encoders.ready).toBe(false);
    await expect(encoders.embed(image(deed.work, 3))).rejects.toMatchObject({ code: 'not_ready' });
    expect(restarts[0]).toBe('exit code 3');
    expect(restarts[1]).toContain('EEXIST');
  });

  it('says in the cause why a batch failed', async () => {
    const encoders = await pool();
    await expect(encoders.embed(image(deed.fail, 0))).rejects.toMatchObject({
      cause: expect.objectContaining({ message: 'failed on purpose' }) as Error,
    });
  });

  // A stopped process takes what is sent and says nothing.
  it.skipIf(process.platform === 'win32')(
    'is not ready, and fails at once, while its only worker is stopped; and goes on when that does',
    async () => {
      const file = batchFile();
      const encoders = await pool({ encoderDir: file, batchDeadlineMs: 60_000 });
      await encoders.embed(image(deed.work, 1));
      const worker = Number(readFileSync(file, 'utf8').split(' ')[0]);
      process.kill(worker, 'SIGSTOP');
      await vi.waitUntil(() => !encoders.ready, { timeout: 20_000, interval: 100 });
      await expect(encoders.embed(image(deed.work, 2))).rejects.toMatchObject({ code: 'not_ready' });
      process.kill(worker, 'SIGCONT');
      await vi.waitUntil(() => encoders.ready, { timeout: 20_000, interval: 100 });
      expect((await encoders.embed(image(deed.work, 3))).embedding[0]).toBe(3);
    },
    50_000,
  );

  it('rejects with what the setup threw, and leaves nothing running', async () => {
    await expect(pool({ encoderDir: 'broken', workers: 2 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: 'broken on purpose',
    });
  });

  it('starts its workers one after another beside others, and tells of it when the first cannot start', async () => {
    const encoders = await pool({ workers: 2, besideOthers: true });
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => encoders.embed(image(deed.work, i))),
    );
    expect(answers.map(({ embedding }) => embedding[0])).toEqual(Array.from({ length: 16 }, (_, i) => i));
    await encoders.close();
    await expect(pool({ encoderDir: 'broken', workers: 2, besideOthers: true })).rejects.toMatchObject({
      code: 'encoder_invalid',
    });
  });

  // Nice values of threads are read from /proc; only the privileged may lower one again.
  it.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
    'keeps its workers a little nicer than itself, all their threads alike, once they are ready',
    async () => {
      const file = batchFile();
      const encoders = await pool({ encoderDir: file, besideOthers: true });
      await encoders.embed(image(deed.work, 1));
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
    const file = batchFile();
    const encoders = await pool({ encoderDir: file, maxBatch: 1 });
    await encoders.embed(image(deed.work, 1));
    const worker = Number(readFileSync(file, 'utf8').split(' ')[0]);
    process.kill(worker, 'SIGSTOP');
    const first = encoders.embed(image(deed.work, 3));
    await new Promise(setImmediate);
    // A full batch of one: it lies in the worker behind the first.
    const second = encoders.embed(image(deed.work, 4));
    await new Promise(setImmediate);
    const third = encoders.embed(image(deed.work, 5));
    const refused = expect(third).rejects.toMatchObject({ code: 'shutting_down' });
    const closed = encoders.close();
    process.kill(worker, 'SIGCONT');
    await closed;
    expect([...(await first).embedding]).toEqual([3, 4]);
    expect([...(await second).embedding]).toEqual([4, 5]);
    await refused;
    await expect(encoders.embed(image(deed.work, 6))).rejects.toMatchObject({ code: 'shutting_down' });
    expect(encoders.ready).toBe(false);
  });
});
