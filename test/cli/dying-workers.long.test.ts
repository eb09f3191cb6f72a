import type { ChildProcess } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { problemSchema } from '../../src/server/schemas.js';
import { createWorkplace, startServed, childrenOf, type Served, type Workplace } from './served.js';

const restarts = 'nearvote_worker_restarts_total{process="encoder"}';
const soon = { timeout: 15_000, interval: 20 };
let workplace: Workplace;
const children: ChildProcess[] = [];

beforeAll(async () => {
  workplace = await createWorkplace();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => workplace.remove());

const serve = (...flags: string[]): Promise<Served> => startServed(workplace, children, ...flags);

/** Sends an image and waits until a worker holds it, which had better be stopped. */
async function classifyHeld(served: Served): Promise<{ readonly answer: Promise<Response> }> {
  const batches = await served.metric('nearvote_batch_size_count');
  const answer = served.classify();
  await expect.poll(() => served.metric('nearvote_batch_size_count'), soon).toBe(batches + 1);
  return { answer };
}

async function expectWorkerFailed(answer: Response): Promise<void> {
  expect(answer.status).toBe(503);
  expect(problemSchema.parse(await answer.json()).code).toBe('worker_failed');
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
      const waiting = [served.classify(), served.classify()];
      await expect.poll(() => served.metric('nearvote_queue_depth'), soon).toBe(2);
      expect(await served.ready()).toBe(true);

      process.kill(worker, signal);
      process.kill(worker, 'SIGCONT');
      await expectWorkerFailed(await held.answer);
      expect(await served.ready()).toBe(false);
      for (const answer of waiting) expect((await answer).status).toBe(200);
      expect(await served.ready()).toBe(true);
      expect(await served.metric(restarts)).toBe(1);
      expect((await served.classify()).status).toBe(200);
      expect(served.stderr()).toContain(signal);
      expect(served.stderr()).toContain('"process":"encoder"');
      expect(childrenOf(served)).not.toContain(worker);
    },
    30_000,
  );

  it('leaves the server ready where another worker serves', async () => {
    const served = await serve('--workers', '2');
    const [first = 0, second = 0] = childrenOf(served);
    for (const worker of [first, second]) process.kill(worker, 'SIGSTOP');
    const held = await classifyHeld(served);
    process.kill(second, 'SIGCONT');
    process.kill(first, 'SIGKILL');
    await expectWorkerFailed(await held.answer);
    expect(await served.ready()).toBe(true);
    expect((await served.classify()).status).toBe(200);
    await expect.poll(() => childrenOf(served).length, soon).toBe(2);
    expect(await served.metric(restarts)).toBe(1);
  }, 30_000);

  it('is killed and replaced where it hangs past its deadline', async () => {
    const served = await serve('--worker-deadline', '1s');
    const [worker = 0] = childrenOf(served);
    process.kill(worker, 'SIGSTOP');
    const sent = performance.now();
    await expectWorkerFailed(await served.classify());
    expect(performance.now() - sent).toBeGreaterThan(990);
    expect((await served.classify()).status).toBe(200);
    expect(await served.metric(restarts)).toBe(1);
    expect(childrenOf(served)).not.toContain(worker);
  }, 30_000);

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
  }, 40_000);
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
  }, 40_000);

  it('is replaced when it dies, and told apart from a worker', async () => {
    const served = await serve();
    const owner = childrenOf(served).at(-1) ?? 0;
    process.kill(owner, 'SIGKILL');
    await expect.poll(() => childrenOf(served).includes(owner), soon).toBe(false);
    await expect.poll(() => served.ready(), soon).toBe(true);
    expect((await served.classify()).status).toBe(200);
    expect(await served.metric(restarts.replace('encoder', 'index'))).toBe(1);
    expect(await served.metric(restarts)).toBe(0);
    expect(served.stderr()).toContain('"process":"index"');
  }, 40_000);
});
