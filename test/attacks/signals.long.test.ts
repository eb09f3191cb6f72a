import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { describe, expect, it } from 'vitest';

import { cli, killAfterTest } from '../cli/nearvote.js';
import { childrenOf, createWorkplace, isAlive, soon, spawnServed } from '../cli/served.js';

const reloads = 'nearvote_index_reloads_total{index="colours",result="ok"}';
const workplace = await createWorkplace();

describe('a server', () => {
  it('with eleven workers warns of nothing', async () => {
    const served = await spawnServed(workplace, { flags: ['--workers', '11'] });
    served.child.kill('SIGTERM');
    expect(await served.exited).toEqual([0, null]);
    expect(served.stderr()).not.toContain('Warning');
  });

  it('reloads a few times for a storm of SIGHUP, keeps serving, and stops in order', async () => {
    const served = await spawnServed(workplace);
    for (let i = 0; i < 100; i++) {
      served.child.kill('SIGHUP');
      if (i % 10 === 0) expect((await served.classify()).status).toBe(200);
    }
    await expect.poll(() => served.metric(reloads), soon).toBeGreaterThan(0);
    served.child.kill('SIGTERM');
    expect(await served.exited).toEqual([0, null]);
  });

  it('that meets an unexpected error says so, stops in order and exits with 1', async () => {
    const preload = join(workplace.folder, 'throw.mjs');
    await writeFile(preload, `process.on('SIGCONT', () => { throw new Error('out of the blue'); });`);
    const served = await spawnServed(workplace, {
      env: { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` },
    });
    served.child.kill('SIGCONT');
    expect(await served.exited).toEqual([1, null]);
    expect(served.stderr()).toMatch(/out of the blue.*stopping after an unexpected error/);
  });

  it.skipIf(process.platform !== 'linux')(
    'started with its standard streams closed serves and stops in order; a second one on its port says why not',
    async () => {
      const flags = ['--index', workplace.index, '--models', workplace.models, '--workers', '1'];
      const first = await spawnServed(workplace);
      const port = new URL(first.url).port;
      const second = spawn(process.execPath, [cli, 'serve', ...flags, '--port', port]);
      killAfterTest(second);
      let said = '';
      second.stderr.on('data', (text: Buffer) => (said += text.toString()));
      expect(await once(second, 'close')).toEqual([1, null]);
      expect(said).toContain('[address_unavailable]');
      first.child.kill('SIGTERM');
      expect(await first.exited).toEqual([0, null]);

      const closed = spawn(
        '/bin/sh',
        ['-c', 'exec "$0" "$@" <&- >&- 2>&-', process.execPath, cli, 'serve', ...flags, '--port', port],
        { stdio: 'ignore' },
      );
      killAfterTest(closed);
      const ready = (): Promise<number | undefined> =>
        fetch(`http://127.0.0.1:${port}/readyz`).then(
          ({ status }) => status,
          () => undefined,
        );
      await expect.poll(ready, soon).toBe(200);
      const [worker = 0] = childrenOf(closed.pid ?? 0);
      closed.kill('SIGTERM');
      expect(await once(closed, 'exit')).toEqual([0, null]);
      await expect.poll(() => isAlive(worker), soon).toBe(false);
    },
  );

  it.skipIf(process.platform !== 'linux')(
    'told to stop while it starts leaves no worker behind',
    async () => {
      const child = spawn(process.execPath, [
        ...[cli, 'serve', '--index', workplace.index, '--models', workplace.models, '--port', '0'],
      ]);
      killAfterTest(child);
      let workers: number[] = [];
      await expect.poll(() => (workers = childrenOf(child.pid ?? 0)).length, soon).toBeGreaterThan(0);
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
      for (const worker of workers) await expect.poll(() => isAlive(worker), soon).toBe(false);
    },
  );
});
