import { describe, expect, it, onTestFinished } from 'vitest';

import { childrenOf, createWorkplace, isAlive, soon, spawnServed, type Served } from '../cli/served.js';

const workplace = await createWorkplace();

function killAll(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended as it should.
  }
}

interface UnderNpm extends Served {
  /** As the ready line says. */
  readonly pid: number;
  readonly worker: number;
}

/** `npm start` in the repository, in a process group of its own as in a terminal. */
async function npmStart(): Promise<UnderNpm> {
  const served = await spawnServed(workplace, {
    through: ['npm', 'start', '--'],
    detached: true,
  });
  const pid = Number(/process (\d+)/.exec(served.line)?.[1]);
  onTestFinished(() => {
    killAll(-(served.child.pid ?? 0));
    killAll(pid);
  });
  const [worker = 0] = childrenOf(pid);
  return { ...served, pid, worker };
}

async function expectNoOrphan({ pid, worker }: UnderNpm): Promise<void> {
  await expect.poll(() => isAlive(pid), soon).toBe(false);
  await expect.poll(() => isAlive(worker), soon).toBe(false);
}

// Processes are looked at through /proc; Windows has no signals.
describe.skipIf(process.platform !== 'linux')('a server under npm start', () => {
  it('says its own process id, reloads on SIGHUP to that, and stops in order before npm on SIGTERM to npm', async () => {
    const served = await npmStart();
    process.kill(served.pid, 'SIGHUP');
    await expect
      .poll(() => served.metric('nearvote_index_reloads_total{index="colours",result="ok"}'), soon)
      .toBe(1);
    served.child.kill('SIGTERM');
    expect(await served.exited).toEqual([0, null]);
    expect(isAlive(served.pid)).toBe(false);
    await expectNoOrphan(served);
  });

  it('stops in order before npm on SIGINT to npm', async () => {
    const served = await npmStart();
    served.child.kill('SIGINT');
    expect(await served.exited).toEqual([0, null]);
    expect(isAlive(served.pid)).toBe(false);
    await expectNoOrphan(served);
  });

  it('stops in order on Ctrl-C in a terminal, where npm passes on what the server has had already', async () => {
    const served = await npmStart();
    process.kill(-(served.child.pid ?? 0), 'SIGINT');
    expect(await served.exited).toEqual([0, null]);
    await expectNoOrphan(served);
  });

  it('stops when npm is ended by SIGHUP, which npm cannot pass on', async () => {
    const served = await npmStart();
    served.child.kill('SIGHUP');
    expect(await served.exited).toEqual([null, 'SIGHUP']);
    await expectNoOrphan(served);
  });
});
