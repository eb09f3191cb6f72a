import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { problemSchema } from '../../src/server/schemas.js';
import { childrenOf, createWorkplace, soon, startServed, type Served } from './served.js';

const restarts = 'nearvote_worker_restarts_total{process="encoder"}';
const workplace = await createWorkplace();

const serve = (...flags: string[]): Promise<Served> => startServed(workplace, ...flags);

/** Sends two images and waits until workers hold them, which had better be stopped. */
async function classifyHeld(served: Served): Promise<{ readonly answer: Promise<Response> }> {
  const images = await served.metric('nearvote_batch_size_sum');
  const answer = served.classifyTwo();
  await expect.poll(() => served.metric('nearvote_batch_size_sum'), soon).toBe(images + 2);
  return { answer };
}

/** What became of each of two images: a label, or the code of an error. */
async function outcomesOf(answer: Response): Promise<string[]> {
  const { results } = (await answer.json()) as { results: { label?: string; error?: unknown }[] };
  return results.map(({ label, error }) => label ?? problemSchema.parse(error).code);
}

// Workers are found and stopped through /proc.
describe.skipIf(process.platform !== 'linux')('a worker that dies', () => {
  it.each(['SIGSEGV', 'SIGABRT', 'SIGKILL'] as const)(
    'of %s fails only what it held, and is replaced',
    async (signal) => {
      const served = await serve();
      const [worker = 0] = childrenOf(served);
      process.kill(worker, 'SIGSTOP');
      const held = await classifyHeld(served);
      const waiting = served.classify();
      await expect.poll(() => served.metric('nearvote_queue_depth'), soon).toBe(1);
      expect(await served.ready()).toBe(true);

      process.kill(worker, signal);
      process.kill(worker, 'SIGCONT');
      expect(await outcomesOf(await held.answer)).toEqual(['worker_failed', 'worker_failed']);
      expect((await waiting).status).toBe(200);
      await expect.poll(() => served.ready(), soon).toBe(true);
      expect(await served.metric(restarts)).toBe(1);
      expect((await served.classify()).status).toBe(200);
      expect(served.stderr()).toContain(signal);
      expect(served.stderr()).toContain('"process":"encoder"');
      expect(childrenOf(served)).not.toContain(worker);
    },
  );

  it('leaves the server ready where another worker serves', async () => {
    const served = await serve('--workers', '2');
    const [first = 0, second = 0] = childrenOf(served);
    for (const worker of [first, second]) process.kill(worker, 'SIGSTOP');
    const held = await classifyHeld(served);
    process.kill(second, 'SIGCONT');
    process.kill(first, 'SIGKILL');
    expect((await outcomesOf(await held.answer)).sort()).toEqual(['red', 'worker_failed']);
    expect(await served.ready()).toBe(true);
    expect((await served.classify()).status).toBe(200);
    await expect.poll(() => childrenOf(served).length, soon).toBe(2);
    expect(await served.metric(restarts)).toBe(1);
  });

  it('is killed and replaced where it hangs past its deadline', async () => {
    const served = await serve('--worker-deadline', '1s');
    const [worker = 0] = childrenOf(served);
    process.kill(worker, 'SIGSTOP');
    const sent = performance.now();
    expect(await outcomesOf(await served.classifyTwo())).toEqual(['worker_failed', 'worker_failed']);
    expect(performance.now() - sent).toBeGreaterThan(990);
    expect((await served.classify()).status).toBe(200);
    expect(await served.metric(restarts)).toBe(1);
    expect(childrenOf(served)).not.toContain(worker);
  });

  it('is tried again with longer and longer pauses while it cannot start, and the server lives on', async () => {
    const served = await serve();
    const file = join(workplace.models, 'cifar10-compact', 'encoder.onnx');
    const bytes = await readFile(file);
    await rm(file);
    try {
      const [worker = 0] = childrenOf(served);
      const killed = performance.now();
      process.kill(worker, 'SIGKILL');
      await expect.poll(() => served.metric(restarts), soon).toBeGreaterThanOrEqual(3);
      // Two failed starts, after pauses of 100 and 200 ms.
      expect(performance.now() - killed).toBeGreaterThan(290);
      expect(await served.ready()).toBe(false);
      expect((await fetch(`${served.url}/healthz`)).status).toBe(200);
      await expect.poll(() => served.stderr(), soon).toContain('encoder_missing');
    } finally {
      await writeFile(file, bytes);
    }
    await expect.poll(() => served.ready(), soon).toBe(true);
    expect((await served.classify()).status).toBe(200);
  });
});

describe.skipIf(process.platform !== 'linux')('the process that holds the index', () => {
  it('turns readiness red while it is stopped, and green when it goes on', async () => {
    const served = await serve();
    const owner = childrenOf(served).at(-1) ?? 0;
    process.kill(owner, 'SIGSTOP');
    await expect.poll(() => served.ready(), soon).toBe(false);
    process.kill(owner, 'SIGCONT');
    await expect.poll(() => served.ready(), soon).toBe(true);
    expect((await served.classify()).status).toBe(200);
  });

  it('is replaced when it dies, and told apart from a worker', async () => {
    const served = await serve();
    const owner = childrenOf(served).at(-1) ?? 0;
    process.kill(owner, 'SIGKILL');
    await expect.poll(() => childrenOf(served).includes(owner), soon).toBe(false);
    await expect.poll(() => served.ready(), soon).toBe(true);
    expect((await served.classify()).status).toBe(200);
    expect(await served.metric('nearvote_worker_restarts_total{process="index",index="colours"}')).toBe(1);
    expect(await served.metric(restarts)).toBe(0);
    expect(served.stderr()).toContain('"process":"index"');
  });
});
