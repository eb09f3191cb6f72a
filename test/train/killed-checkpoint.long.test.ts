import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { writeCheckpoint, readCheckpoint } from '../../src/train/checkpoint.js';
import { emptyFolder } from '../encoder/folder.js';
import { aCheckpoint, configOf } from './a-checkpoint.js';

const child = fileURLToPath(new URL('./killed-checkpoint.ts', import.meta.url));

/** The number of the last checkpoint that was written before the process killed itself. */
function writeAndDie(path: string, changes: number): Promise<{ signal: string | null; written: number }> {
  return new Promise((resolve) => {
    const args = ['--import', 'tsx', child, path, String(changes)];
    const run = execFile(process.execPath, args, (_error, stdout) =>
      resolve({ signal: run.signalCode, written: Number(stdout.trim().split('\n').at(-1)) }),
    );
  });
}

describe('a process that is killed with SIGKILL while it writes checkpoints', () => {
  // The folder changes when a checkpoint is begun, as it grows, and when it is renamed.
  it('leaves the last complete one, whenever it dies', async () => {
    let unfinished = 0;
    for (const changes of [1, 2, 3, 5, 8, 13, 21, 34]) {
      const dir = await emptyFolder();
      const path = join(dir, 'last.ckpt');
      await writeCheckpoint(path, aCheckpoint(0, 20));
      const { signal, written } = await writeAndDie(path, changes);
      expect(signal).toBe('SIGKILL');
      const left = await readCheckpoint(path, configOf);
      // It may have died between the renaming and the telling.
      expect([written, written + 1]).toContain(left?.step);
      for (const values of Object.values(left?.tensors ?? {})) {
        expect(values.every((value) => value === left?.step)).toBe(true);
      }
      if ((await readdir(dir)).length > 1) unfinished++;
      await writeCheckpoint(path, aCheckpoint(99));
      expect((await readCheckpoint(path, configOf))?.step).toBe(99);
      expect(await readdir(dir)).toEqual(['last.ckpt']);
    }
    // Else no kill came in the middle of a file, and the test would have shown nothing.
    expect(unfinished).toBeGreaterThan(0);
  });
});
