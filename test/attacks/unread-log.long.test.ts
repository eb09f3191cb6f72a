import { closeSync, openSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { cli } from '../cli/nearvote.js';
import { childrenOf, createWorkplace, soon, spawnServed, type Served } from '../cli/served.js';

const dropped = 'nearvote_log_lines_dropped_total';
const workplace = await createWorkplace();

/** Requests down one connection, ten at a time, each a line of 300 bytes in the log; resolves when all are answered. */
async function logLines({ url }: Served, count: number): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const id = 'i'.repeat(128);
  const request = `GET /healthz HTTP/1.1\r\nHost: ${hostname}\r\nX-Request-Id: ${id}\r\n\r\n`;
  socket.write(request.repeat(10));
  let answered = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    const before = answered;
    answered += chunk.toString('latin1').split('"status":"ok"').length - 1;
    if (answered >= count) break;
    if (Math.floor(answered / 10) > Math.floor(before / 10)) socket.write(request.repeat(10));
  }
}

async function expectStopsInOrder({ child, exited }: Served): Promise<void> {
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
}

describe('a log that nobody reads', () => {
  it('on a pipe whose reader has stopped neither holds requests up nor keeps the server from stopping', async () => {
    const served = await spawnServed(workplace, {
      flags: ['--log-level', 'info'],
      stderr: 'unread',
    });
    await logLines(served, 2500);
    expect(await served.metric(dropped)).toBeGreaterThan(0);
    expect((await served.classify()).status).toBe(200);
    await expectStopsInOrder(served);
  });

  it('on a pipe whose reader has gone costs the lines and nothing else', async () => {
    const served = await spawnServed(workplace, {
      flags: ['--log-level', 'info'],
      stderr: 'unread',
    });
    served.child.stderr?.destroy();
    await logLines(served, 100);
    await expect.poll(() => served.metric(dropped), soon).toBeGreaterThan(90);
    expect((await served.classify()).status).toBe(200);
    await expectStopsInOrder(served);
  });

  it.skipIf(process.platform !== 'linux')('on a full disk costs the lines and nothing else', async () => {
    const full = openSync('/dev/full', 'w');
    const served = await spawnServed(workplace, {
      flags: ['--log-level', 'info'],
      stderr: full,
    });
    closeSync(full);
    await logLines(served, 100);
    await expect.poll(() => served.metric(dropped), soon).toBeGreaterThan(90);
    await expectStopsInOrder(served);
  });
});

describe('what a child process prints', () => {
  it('is in the log, and where nobody reads stderr any more costs nothing', async () => {
    const lastWords = join(workplace.folder, 'last-words.cjs');
    await writeFile(lastWords, "if (process.argv[1].endsWith('worker.js')) console.error('last words');");
    const logFile = join(workplace.folder, 'children.log');
    const served = await spawnServed(workplace, {
      flags: ['--log-file', logFile],
      env: { NODE_OPTIONS: `--require ${lastWords}` },
      stderr: 'unread',
    });
    served.child.stderr?.destroy();
    const [worker = 0] = childrenOf(served);
    const printed = async (): Promise<number> =>
      (await readFile(logFile, 'utf8')).split('"text":"last words"').length - 1;
    await expect.poll(printed, soon).toBe(1);
    process.kill(worker, 'SIGKILL');
    await expect.poll(printed, soon).toBe(2);
    await expect.poll(() => served.ready(), soon).toBe(true);
    await expectStopsInOrder(served);
  });
});

/** No file may grow past 4 KiB: what a write meets there is what it meets on a full disk. */
const onSmallDisk = ['/bin/sh', '-c', 'ulimit -f 8 && exec "$0" "$@"', process.execPath];

describe.skipIf(process.platform === 'win32')('the files that a server logs to', () => {
  it('may fill the disk: lines are lost and counted, and the server goes on', async () => {
    const logFile = join(workplace.folder, 'full.log');
    const decisions = join(workplace.folder, 'full.jsonl');
    const served = await spawnServed(workplace, {
      through: [...onSmallDisk, cli, 'serve'],
      flags: ['--log-level', 'info', '--log-file', logFile, '--decision-log', decisions],
    });
    for (let i = 0; i < 60; i++) expect((await served.classify()).status).toBe(200);
    await expect.poll(() => served.metric(dropped), soon).toBeGreaterThan(20);
    let lines: string[] = [];
    const accountedFor = async (): Promise<number> => {
      lines = (await readFile(decisions, 'utf8')).split('\n').slice(0, -1);
      return lines.length + (await served.metric('nearvote_decision_log_lost_total'));
    };
    await expect.poll(accountedFor, soon).toBe(60);
    await expectStopsInOrder(served);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ label: 'red' });
  });

  it('are made again when they are deleted, and when they are moved and SIGHUP says so', async () => {
    const logFile = join(workplace.folder, 'moved.log');
    const decisions = join(workplace.folder, 'moved.jsonl');
    const served = await spawnServed(workplace, {
      flags: ['--log-level', 'info', '--log-file', logFile, '--decision-log', decisions],
    });
    const sizes = (): Promise<number[]> =>
      Promise.all(
        [logFile, decisions].map(async (file) => (await stat(file).catch(() => undefined))?.size ?? -1),
      );
    await served.classify();
    await expect.poll(async () => Math.min(...(await sizes())), soon).toBeGreaterThan(0);
    await Promise.all([rm(logFile), rm(decisions)]);
    await served.classify();
    await expect.poll(async () => Math.min(...(await sizes())), soon).toBeGreaterThan(0);

    await Promise.all([logFile, decisions].map((file) => rename(file, `${file}.old`)));
    served.child.kill('SIGHUP');
    await expect.poll(async () => Math.min(...(await sizes())), soon).toBeGreaterThanOrEqual(0);
    expect((await readFile(`${decisions}.old`, 'utf8')).split('\n')).toHaveLength(2);
    await expectStopsInOrder(served);
    expect(served.stderr()).toBe('');
  });
});
