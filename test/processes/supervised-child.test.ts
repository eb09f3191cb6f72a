import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  superviseChild,
  type SupervisedChild,
  type SupervisedChildOptions,
} from '../../src/processes/supervised-child.js';
import { childrenRunning } from './children-running.js';

const run = promisify(execFile);
const soon = { timeout: 20_000, interval: 5 };

let base = '';
let child: SupervisedChild<unknown> | undefined;
let restarts: string[] = [];
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-child-'));
});
afterEach(() => child?.stop());
afterAll(() => rm(base, { recursive: true }));

function supervise(options: Partial<SupervisedChildOptions<unknown>> = {}): SupervisedChild<unknown> {
  restarts = [];
  child = superviseChild({
    file: new URL('scripted-child.mjs', import.meta.url),
    setup: { greeting: 'hello' },
    jobDeadlineMs: 20_000,
    heapMegabytes: 64,
    nice: 0,
    yielding: false,
    onReady: () => undefined,
    onRestart: (reason) => restarts.push(reason),
    ...options,
  });
  return child;
}

async function started(
  options: Partial<SupervisedChildOptions<unknown>> = {},
): Promise<SupervisedChild<unknown>> {
  const one = supervise(options);
  await one.started;
  return one;
}

const job = (words: unknown) => ({ words, parts: [Uint8Array.of(1, 2)] });

describe('a supervised child', () => {
  it('says what its setup said, and answers jobs in order with their bytes', async () => {
    const one = supervise();
    expect(await one.started).toBe('hello');
    const answers = await Promise.all(['a', 'b', 'c'].map((words) => one.run(job(words))));
    expect(answers.map(({ words }) => words)).toEqual(['a', 'b', 'c'].map((answered) => ({ answered })));
    expect(answers[0]?.parts).toEqual([Uint8Array.of(1, 2)]);
    expect(one).toMatchObject({ jobs: 0, ready: true, failing: false });
  });

  it('rejects the job that failed and goes on', async () => {
    const one = await started();
    await expect(one.run(job('fail'))).rejects.toMatchObject({
      code: 'worker_failed',
      cause: { message: 'failed on purpose' },
    });
    expect((await one.run(job('a'))).words).toEqual({ answered: 'a' });
    expect(restarts).toEqual([]);
  });

  it('is replaced when it ends, and rejects what it held', async () => {
    const one = await started();
    const held = [one.run(job('end')), one.run(job('a'))];
    for (const { status } of await Promise.allSettled(held)) expect(status).toBe('rejected');
    expect(restarts).toEqual(['exit code 3']);
    await expect(one.run(job('a'))).rejects.toMatchObject({ cause: { message: 'it is being replaced' } });
    await expect.poll(() => one.ready, soon).toBe(true);
    expect((await one.run(job('a'))).words).toEqual({ answered: 'a' });
  });

  it('is killed and replaced when a job takes longer than the deadline', async () => {
    const one = await started({ jobDeadlineMs: 300 });
    await expect(one.run(job('hang'))).rejects.toMatchObject({
      cause: { message: 'it ended (signal SIGKILL)' },
    });
    await expect.poll(() => one.ready, soon).toBe(true);
  });

  it('counts as failing soon after each hang, the second as the first', async () => {
    const one = await started({ jobDeadlineMs: 2_000, silentMs: 100 });
    for (const hang of [1, 2]) {
      const held = one.run(job('hang')).catch((error: unknown) => error);
      await expect.poll(() => one.failing, soon).toBe(true);
      // Not yet killed: it is the silence that was noticed.
      expect(restarts).toHaveLength(hang - 1);
      expect(one.ready).toBe(false);
      await held;
      await expect.poll(() => one.ready, soon).toBe(true);
    }
  });

  it('does not take the wait behind other jobs for silence', async () => {
    const one = await started({ silentMs: 250 });
    const seen: boolean[] = [];
    const jobs = Array.from({ length: 12 }, () =>
      one.run(job({ spinMs: 40 })).then(() => seen.push(one.failing)),
    );
    await Promise.all(jobs);
    expect(seen).toEqual(jobs.map(() => false));
  });

  it('tells what its first setup failed with, and starts nothing more', async () => {
    const failWhere = join(base, 'fail-first');
    await writeFile(failWhere, '');
    await expect(supervise({ setup: { failWhere } }).started).rejects.toThrow('failed on purpose');
    expect(restarts).toEqual([]);
  });

  it('is failing while its replacement cannot be set up, and comes back when it can', async () => {
    const failWhere = join(base, 'fail-later');
    const one = await started({ setup: { failWhere } });
    await writeFile(failWhere, '');
    await one.run(job('end')).catch(() => undefined);
    await expect.poll(() => restarts, soon).toContain('failed on purpose [worker_failed]');
    expect(one.failing).toBe(true);
    await rm(failWhere);
    await expect.poll(() => one.ready, soon).toBe(true);
    expect(one.failing).toBe(false);
  });

  it('is started again when a replacement hangs in its setup, the longest of deadlines included', async () => {
    const hangWhere = join(base, 'hang-later');
    const one = await started({ setup: { hangWhere }, jobDeadlineMs: 300 });
    await writeFile(hangWhere, '');
    await one.run(job('end')).catch(() => undefined);
    await expect.poll(() => restarts, soon).toContain('signal SIGKILL');
    await rm(hangWhere);
    await expect.poll(() => one.ready, soon).toBe(true);
    one.stop();
    // Node runs a timer of more than 2^31 - 1 ms at once.
    const patient = await started({ setup: { greeting: 'hello' }, jobDeadlineMs: 2 ** 31 - 1 });
    await patient.run(job('end')).catch(() => undefined);
    await expect.poll(() => patient.ready, soon).toBe(true);
    expect(restarts).toEqual(['exit code 3']);
  });

  it('gives up a first setup that hangs beside others, and says so', async () => {
    const hangWhere = join(base, 'hang-first');
    await writeFile(hangWhere, '');
    await expect(
      supervise({ setup: { hangWhere }, yielding: true, firstSetupDeadlineMs: 200 }).started,
    ).rejects.toMatchObject({ code: 'worker_failed', message: expect.stringContaining('SIGKILL') as string });
  });

  it('resolves drained when it holds no job, and is gone when it is stopped', async () => {
    const one = await started();
    const held = one.run(job({ spinMs: 50 }));
    expect(one.jobs).toBe(1);
    await one.drained();
    expect(one.jobs).toBe(0);
    await held;
    one.stop();
    expect(one.ready).toBe(false);
    if (process.platform === 'linux') {
      await expect.poll(() => childrenRunning('scripted-child'), soon).toEqual([]);
    }
    expect(restarts).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')(
    'is killed when it is stopped from outside while idle',
    async () => {
      const one = await started({ jobDeadlineMs: 300, silentMs: 50, pingEveryMs: 20 });
      const [pid = 0] = childrenRunning('scripted-child');
      process.kill(pid, 'SIGSTOP');
      await expect.poll(() => restarts, soon).toEqual(['signal SIGKILL']);
      await expect.poll(() => one.ready, soon).toBe(true);
    },
  );

  it.skipIf(process.platform === 'win32')(
    'is tried again when no descriptor is left to start it',
    async () => {
      const script = fileURLToPath(new URL('without-descriptors.mjs', import.meta.url));
      const { stdout } = await run('sh', ['-c', `ulimit -n 64; exec "${process.execPath}" "${script}"`]);
      const lines = stdout.trim().split('\n');
      expect(lines[0]).toBe('exit code 3');
      expect(lines.at(-1)).toBe('ready');
      expect(lines.some((line) => line.includes('EMFILE'))).toBe(true);
    },
  );
});
