import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as passes } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/domain/seeded-random.js';
import { cli, drawSpeckled, killAfterTest, nearvoteIn } from './nearvote.js';
import { createWorkplace } from './served.js';

const workplace = await createWorkplace();
const images = 200;
const kills = 8;

describe('nearvote classify --csv, killed', () => {
  it(`${kills} times by SIGKILL at random moments ends with the CSV of an undisturbed run`, async () => {
    const folder = join(workplace.folder, 'killed');
    await mkdir(join(folder, 'photos'), { recursive: true });
    for (let i = 0; i < images; i++) {
      const name = i % 50 === 7 ? `a\nb "${i}".png` : `${i}.png`;
      const content =
        i % 50 === 9 ? Buffer.from('no image') : await drawSpeckled([200, 30, 40], i).png().toBuffer();
      await writeFile(join(folder, 'photos', name), content);
    }
    const args = ['classify', 'photos', '--index', workplace.index, '--models', workplace.models, '--csv'];
    await nearvoteIn(folder, ...args, 'whole.csv');
    const whole = await readFile(join(folder, 'whole.csv'));

    const csv = join(folder, 'out.csv');
    const size = (): number => statSync(csv, { throwIfNoEntry: false })?.size ?? 0;
    const random = seededRandom(1);
    let torn = 0;
    for (let killed = 0; killed < kills;) {
      const child = spawn(process.execPath, [cli, ...args, 'out.csv'], {
        cwd: folder,
        env: { NEARVOTE_WORKERS: '1', ...process.env },
        stdio: 'ignore',
      });
      killAfterTest(child);
      const ended = once(child, 'exit');
      // One time in four before it writes; else when it has written a random share of what is left, at most.
      const from = size();
      const until = random() < 0.25 ? from : from + Math.ceil((random() * (whole.length - from)) / 4);
      while (child.exitCode === null && size() < until) await passes(1);
      child.kill('SIGKILL');
      const [, signal] = (await ended) as [unknown, string | null];
      if (signal === 'SIGKILL') killed++;
      const left = await readFile(csv).catch(() => Buffer.alloc(0));
      expect(whole.subarray(0, left.length).equals(left)).toBe(true);
      if (left.length > 0 && left.length < whole.length) torn++;
      if (left.length === whole.length) await rm(csv);
    }
    expect(torn).toBeGreaterThan(kills / 4);
    await nearvoteIn(folder, ...args, 'out.csv');
    expect((await readFile(csv)).equals(whole)).toBe(true);
  }, 600_000);
});
