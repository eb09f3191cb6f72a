import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it, onTestFinished } from 'vitest';

import { cli, drawFolders, killAfterTest } from './nearvote.js';

const build = ['build', '--data', 'photos', '--encoder', 'models/cifar10-compact', '--out', 'index/photos'];

/** Removed after the test. */
async function folderOfPhotos(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-closed-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await drawFolders(join(folder, 'photos'), { count: 2, firstSeed: 0 });
  return folder;
}

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
    const folder = await folderOfPhotos();
    const child = spawn(process.execPath, [cli, ...build], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.destroy();
    expect(await once(child, 'close')).toEqual([0, null]);
  });
});

const fullDisk = '/dev/full';

describe.runIf(existsSync(fullDisk))('a full disk', () => {
  /** Runs a command with one of its outputs on the full disk. */
  async function runOntoFullDisk(onto: 'stdout' | 'stderr', cwd: string, args: readonly string[]) {
    const full = openSync(fullDisk, 'w');
    const child = spawn(process.execPath, [cli, ...args], {
      cwd,
      env: { NEARVOTE_WORKERS: '1', ...process.env },
      stdio: ['ignore', onto === 'stdout' ? full : 'pipe', onto === 'stderr' ? full : 'pipe'],
    });
    closeSync(full);
    killAfterTest(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: Buffer) => (said += text.toString()));
    }
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, said };
  }

  it('behind stderr lets a build publish and leave nothing behind', async () => {
    const folder = await folderOfPhotos();
    const { code, said } = await runOntoFullDisk('stderr', folder, build);
    expect(said).toContain('Published photos');
    expect(code).toBe(0);
    const left = await readdir(join(folder, 'index/photos'));
    expect(left.filter((name) => name.startsWith('.lock') || name.startsWith('.staging'))).toEqual([]);
  });

  it.each(
    [build, ['classify', 'photos/red/0.JPG'], ['classify', 'photos', '--json']].map((args) => ({ args })),
  )('behind stdout fails $args with one line that says so, for there the result goes', async ({ args }) => {
    const { code, said } = await runOntoFullDisk('stdout', await folderOfPhotos(), args);
    expect(said).not.toMatch(/\n +at /);
    expect(said.match(/stdout.*/g)).toEqual(['stdout but cannot (ENOSPC) [output_unwritable]']);
    expect(code).toBe(1);
  });

  it('behind stdout lets a server start, answer and stop', async () => {
    const full = openSync(fullDisk, 'w');
    const folder = await folderOfPhotos();
    const logFile = join(folder, 'log');
    const socket = createServer().listen(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address() as AddressInfo;
    socket.close();
    await once(socket, 'close');
    const args = ['serve', '--port', `${port}`, '--workers', '1', '--log-file', logFile, '--drain', '0s'];
    const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', full, 'ignore'] });
    closeSync(full);
    killAfterTest(child);
    const ended = once(child, 'exit');
    await expect
      .poll(
        () =>
          fetch(`http://127.0.0.1:${port}/readyz`).then(
            ({ status }) => status,
            () => 0,
          ),
        {
          timeout: 60_000,
        },
      )
      .toBe(200);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});
