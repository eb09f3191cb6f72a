import { once } from 'node:events';
import { connect } from 'node:net';

import { describe, expect, it } from 'vitest';

import {
  childrenOf,
  createWorkplace,
  isAlive,
  soon,
  spawnServed,
  startServed,
  type Served,
} from './served.js';

const workplace = await createWorkplace();

const serve = (...flags: string[]): Promise<Served> => startServed(workplace, ...flags);

/** A client that has sent its headers and then says nothing more. */
async function hang({ url }: Served): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  // The server cuts it off when its grace is over.
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const head = [
    'POST /classify HTTP/1.1',
    `Host: ${hostname}`,
    'Content-Type: image/png',
    'Content-Length: 1000',
  ];
  await new Promise((resolve) => socket.write(`${head.join('\r\n')}\r\n\r\n`, resolve));
}

describe('a server told to stop', () => {
  it('answers under load every request sent until it was seen to be not ready, and exits with 0', async () => {
    const served = await serve('--drain', '2s');
    const statuses: number[] = [];
    let red = false;
    // As behind a load balancer. A connection made as the listener closes may be reset by the kernel unaccepted.
    const clients = Array.from({ length: 16 }, async () => {
      while (!red) {
        const answer = await served.classify();
        await answer.arrayBuffer();
        statuses.push(answer.status);
      }
    });
    await expect.poll(() => statuses.length, soon).toBeGreaterThan(50);
    served.child.kill('SIGTERM');
    await expect.poll(() => served.ready(), soon).toBe(false);
    red = true;
    await Promise.all(clients);
    expect(await served.exited).toEqual([0, null]);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('does not wait past its grace for a client that hangs, and then exits with 1', async () => {
    const served = await serve('--grace', '1s', '--drain', '0ms');
    await hang(served);
    await expect.poll(() => served.metric('nearvote_inflight_requests'), soon).toBe(2);
    const told = performance.now();
    served.child.kill('SIGTERM');
    expect(await served.exited).toEqual([1, null]);
    expect(performance.now() - told).toBeGreaterThan(990);
    expect(performance.now() - told).toBeLessThan(3_000);
  });

  // Workers are found and stopped through /proc.
  it.skipIf(process.platform !== 'linux')(
    'does not wait past its grace for a worker that hangs, nor leave it behind',
    async () => {
      const served = await serve('--grace', '1s', '--drain', '0ms');
      const [worker = 0] = childrenOf(served);
      process.kill(worker, 'SIGSTOP');
      const lost = expect(served.classifyTwo()).rejects.toThrow('fetch failed');
      await expect.poll(() => served.metric('nearvote_batch_size_count'), soon).toBe(1);
      served.child.kill('SIGTERM');
      expect(await served.exited).toEqual([1, null]);
      await lost;
      await expect.poll(() => isAlive(worker), soon).toBe(false);
    },
  );

  describe.each([
    { may: 'only follow its index', env: {}, signals: ['SIGSTOP', 'SIGKILL'] },
    { may: 'change its index', env: { NEARVOTE_ADMIN_KEY: 'an-admin-key-of-a-test' }, signals: ['SIGSTOP'] },
  ] as const)('which may $may', ({ env, signals }) => {
    it.skipIf(process.platform !== 'linux')(
      'exits with 0 at once where its idle processes hang or are dead',
      async () => {
        for (const signal of signals) {
          const served = await spawnServed(workplace, { flags: ['--grace', '20s'], env });
          const children = childrenOf(served);
          for (const child of children) process.kill(child, signal);
          // By then it has asked them in vain for what nobody waits for.
          if (signal === 'SIGSTOP') await expect.poll(() => served.ready(), soon).toBe(false);
          const told = performance.now();
          served.child.kill('SIGTERM');
          expect(await served.exited).toEqual([0, null]);
          expect(performance.now() - told).toBeLessThan(5_000);
          for (const child of children) await expect.poll(() => isAlive(child), soon).toBe(false);
        }
      },
    );
  });
});
