import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openJournal } from '../../src/examples/journal.js';
import { seededRandom } from '../neighbours/unit-vectors.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nearvote-killed-journal-'));
});
afterAll(() => rm(root, { recursive: true }));

describe('a process that appends to a journal', () => {
  it('loses nothing that was acknowledged, and leaves no half of an operation, when it is killed at 30 moments', async () => {
    const random = seededRandom(3);
    const writer = fileURLToPath(new URL('./journal-writer.mjs', import.meta.url));
    let last = 0;
    for (let round = 0; round < 30; round++) {
      const child = spawn(process.execPath, [writer, root, `${round}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const dieAfter = 1 + Math.floor(random() * 40);
      let lines = 0;
      for await (const line of createInterface(child.stdout)) {
        last = Number(line);
        if (++lines === dieAfter) child.kill('SIGKILL');
      }
      expect(lines).toBeGreaterThanOrEqual(dieAfter);
      using journal = await openJournal({ root, floor: 0, access: 'read', now: () => new Date() });
      expect(journal.head).toBeGreaterThanOrEqual(last);
      expect(journal.verify({ dimension: 2 })).toEqual({ changes: journal.head, defects: [] });
      const made = journal.operation(journal.head);
      const [nth, size] = [Number(made[0]?.id.split('-')[1]), made.length];
      expect(size).toBe(1 + (nth % 3));
      last = journal.head;
    }
    expect(last).toBeGreaterThan(300);
  });
});
