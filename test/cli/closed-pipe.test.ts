import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it, onTestFinished } from 'vitest';

import { cli, drawFolders } from './nearvote.js';

describe('a reader that has read enough', () => {
  it.each([['--help'], ['serve', '--help'], ['build', '--help']])(
    'of nearvote %s %s leaves no trace of an error',
    async (...args) => {
      const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.destroy();
      let stderr = '';
      child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
      expect(await once(child, 'close')).toEqual([0, null]);
      expect(stderr).toBe('');
    },
  );

  it('of the progress of a build lets it go on to its end', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nearvote-closed-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await drawFolders(join(folder, 'photos'), { count: 2, firstSeed: 0 });
    const build = [
      'build',
      '--data',
      'photos',
      '--encoder',
      'models/cifar10-compact',
      '--out',
      'index/photos',
    ];
    const child = spawn(process.execPath, [cli, ...build], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.destroy();
    expect(await once(child, 'close')).toEqual([0, null]);
  });
});
