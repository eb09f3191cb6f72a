import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openAppendFile } from '../../src/server/append-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-append-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** How far files of this process may grow: what a write meets there is what it meets on a full disk. */
function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
}

describe.skipIf(process.platform !== 'linux')('a file of lines on a disk that is full for a while', () => {
  it('loses whole lines only, and says how many arrived', async () => {
    const file = join(folder, 'log');
    const { append, close } = await openAppendFile({ file });
    const lines = Array.from({ length: 100 }, (_, i) => JSON.stringify({ line: i, text: 'x'.repeat(80) }));
    const arrived: number[] = [];
    limitFiles(1000);
    try {
      // The first is cut in the middle of a line; the second finds no byte free.
      arrived.push((await append(lines)).lines, (await append(lines)).lines);
    } finally {
      limitFiles('unlimited');
    }
    arrived.push((await append(lines)).lines);
    await close();
    const written = (await readFile(file, 'utf8')).trimEnd().split('\n');
    const whole = written.filter((line) => lines.includes(line));
    expect(arrived).toEqual([whole.length - 100, 0, 100]);
    // But for the one that was cut.
    expect(written).toHaveLength(whole.length + 1);
  });
});
