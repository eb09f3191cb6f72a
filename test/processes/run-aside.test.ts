import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { runAside } from '../../src/processes/run-aside.js';
import { childrenRunning } from './children-running.js';

const file = new URL('./scheduled-job.mjs', import.meta.url);
const schedIdle = 5;

function hasChrt(): boolean {
  try {
    execFileSync('chrt', ['--version'], { stdio: 'ignore' });
    return process.platform === 'linux';
  } catch {
    return false;
  }
}

describe('a job that is run aside', () => {
  it.skipIf(!hasChrt())('has only cores that nothing else wants, with all its threads', async () => {
    const policies = (await runAside(file, {})) as number[];
    expect(policies.length).toBeGreaterThan(1);
    expect(new Set(policies)).toEqual(new Set([schedIdle]));
  });

  it('throws what the job has thrown', async () => {
    await expect(runAside(file, { refuses: true })).rejects.toMatchObject({
      ...{ code: 'output_unwritable', message: 'no room' },
    });
  });

  it.skipIf(process.platform !== 'linux')('says why it failed, and leaves no process', async () => {
    await expect(runAside(file, { fails: true })).rejects.toMatchObject({
      code: 'worker_failed',
      cause: expect.objectContaining({ message: 'as it was told' }) as Error,
    });
    await expect.poll(() => childrenRunning('scheduled-job')).toEqual([]);
  });
});
