import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'csv-parse/sync';
import { describe, expect, it, onTestFinished } from 'vitest';
import { nearvoteIn } from './in-process.js';
import { cli, drawSpeckled, killAfterTest, type Ran } from './nearvote.js';
import { createWorkplace, soon, startServed } from './served.js';

const workplace = await createWorkplace();

/** Whether a small disk of one's own can be had. */
const mountsDisks = await promisify(execFile)('unshare', [
  ...['--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', workplace.folder],
]).then(
  () => true,
  () => false,
);

interface Row {
  readonly path: string;
  readonly label: string;
  readonly outcome: string;
  readonly nearest_ids: string;
  readonly error: string;
}

const rowsOf = (csv: string): Row[] => parse(csv, { columns: true });

/** A folder with `photos` in it, of which the names are given. */
async function folderWith(names: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(workplace.folder, 'csv-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'photos'));
  for (const [i, name] of names.entries()) {
    await writeFile(join(folder, 'photos', name), await drawSpeckled([200, 30, 40], i).png().toBuffer());
  }
  return folder;
}

const pair = ['--index', workplace.index, '--models', workplace.models];
const classify = (folder: string, ...args: string[]): Promise<Ran> =>
  nearvoteIn(folder, 'classify', 'photos', '--csv', 'out.csv', ...args);
const csvOf = (folder: string): Promise<string> => readFile(join(folder, 'out.csv'), 'utf8');

describe('nearvote classify --csv', () => {
  it('writes what classify prints, goes on where it was torn, and says when nothing is left to do', async () => {
    const names = ['a.png', 'b "c",\nd.png', '=1+1.png', 'e.png'];
    const folder = await folderWith(names);
    const ran = await classify(folder, ...pair, '-k', '3', '--neighbours', '2');
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/^out\.csv has 4 rows; /);
    const whole = await csvOf(folder);
    const rows = rowsOf(whole);
    expect(rows.map(({ path }) => path)).toEqual(names.toSorted().map((name) => `photos/${name}`));

    const printed = await nearvoteIn(
      folder,
      ...['classify', 'photos', '--json', ...pair, '-k', '3', '--neighbours', '2'],
    );
    const lines = printed.stdout.trim().split('\n');
    expect(
      lines.map((line) => {
        const { file, decision } = JSON.parse(line) as {
          file: string;
          decision: { label: string; neighbours: { id: string }[] };
        };
        return [file, decision.label, decision.neighbours.map(({ id }) => id).join(' ')];
      }),
    ).toEqual(rows.map((row) => [row.path, row.label, row.nearest_ids]));

    await truncate(join(folder, 'out.csv'), whole.length - 7);
    const resumed = await classify(folder, ...pair, '-k', '3', '--neighbours', '2', '--json');
    expect(JSON.parse(resumed.stdout)).toMatchObject({ rows: 4, added: 1, failed: 0, stopped: false });
    expect(resumed.stderr).toContain('out.csv has 3 rows; 1 files are left to do');
    expect(await csvOf(folder)).toBe(whole);
    const again = await classify(folder, ...pair, '-k', '3', '--neighbours', '2');
    expect(again).toMatchObject({ code: 0, stdout: 'out.csv has 4 rows; nothing is left to do\n' });

    const other = await classify(folder, ...pair, '-k', '2', '--neighbours', '2');
    expect(other).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/k was 3 and is 2.*--overwrite/) as string,
    });
    expect(await csvOf(folder)).toBe(whole);
  });

  it('gives an image that failed a row, goes on, and exits with 1 saying how many', async () => {
    const folder = await folderWith(['a.png', 'd.png']);
    await writeFile(join(folder, 'photos/b.png'), 'no image');
    await writeFile(join(folder, 'photos/c.png'), '');
    await writeFile(join(folder, 'photos/notes.txt'), 'x');
    await writeFile(join(folder, 'photos/huge.png'), '');
    await truncate(join(folder, 'photos/huge.png'), 2 ** 33);
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const ran = await nearvoteIn(
      folder,
      'classify',
      'photos',
      'pipe',
      'gone.png',
      '--csv',
      'out.csv',
      ...pair,
    );
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.stderr).toContain('5 of 7 files in out.csv could not be classified');
    expect(ran.stderr).toContain('passed over what is no image by its name or kind: 1 .txt');
    expect(
      rowsOf(await csvOf(folder)).map(({ path, outcome, error }) => [path, outcome, error.split(':')[0]]),
    ).toEqual([
      ['photos/a.png', 'known', ''],
      ['photos/b.png', '', 'image_unsupported'],
      ['photos/c.png', '', 'image_empty'],
      ['photos/d.png', 'known', ''],
      ['photos/huge.png', '', 'image_too_large'],
      ['pipe', '', 'image_missing'],
      ['gone.png', '', 'image_missing'],
    ]);
  });

  it('stops at Ctrl-C with what is written, says how to go on, and goes on', async () => {
    const folder = await folderWith(Array.from({ length: 200 }, (_, i) => `${i}.png`));
    const child = spawn(process.execPath, [cli, 'classify', 'photos', '--csv', 'out.csv', ...pair], {
      cwd: folder,
      env: { ...process.env, NEARVOTE_WORKERS: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    killAfterTest(child);
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const ended = once(child, 'close');
    const written = async (): Promise<number> =>
      (await stat(join(folder, 'out.csv')).catch(() => ({ size: 0 }))).size;
    await expect.poll(written, { ...soon, interval: 1 }).toBeGreaterThan(100);
    child.kill('SIGINT');
    const [code] = (await ended) as [number | null];
    const rows = rowsOf(await csvOf(folder)).length;
    // It may have been done already.
    if (rows < 200) {
      expect(code).toBe(1);
      expect(stderr).toContain('stopped; the same command goes on with out.csv');
    }
    expect(JSON.parse((await classify(folder, ...pair, '--json')).stdout)).toMatchObject({
      rows: 200,
      added: 200 - rows,
    });
  });

  it.runIf(mountsDisks)(
    'leaves whole rows on a disk that is full, and goes on when there is room',
    async () => {
      const folder = await folderWith(Array.from({ length: 60 }, (_, i) => `${i}.png`));
      const disk = join(folder, 'disk');
      await mkdir(disk);
      const command = ['"$@"', 'classify photos --csv disk/out.csv', ...pair, '--json'].join(' ');
      const script = `mount -t tmpfs -o size=12k none disk; ${command}; cp disk/out.csv full.csv; mount -o remount,size=1m none disk; ${command}`;
      const { stdout, stderr } = await promisify(execFile)(
        'unshare',
        ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', process.execPath, cli],
        { cwd: folder, env: { ...process.env, NEARVOTE_WORKERS: '1' } },
      );
      expect(stderr).toContain('Expected to write disk/out.csv but cannot (ENOSPC) [output_unwritable]');
      const full = await readFile(join(folder, 'full.csv'), 'utf8');
      expect(full.endsWith('\r\n')).toBe(true);
      const { length } = rowsOf(full);
      expect(length).toBeGreaterThan(0);
      expect(JSON.parse(stdout)).toMatchObject({ rows: 60, added: 60 - length });
    },
  );

  it('goes on to its end where nobody reads its output', async () => {
    const folder = await folderWith(['a.png', 'b.png']);
    const child = spawn(process.execPath, [cli, 'classify', 'photos', '--csv', 'out.csv', ...pair], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    killAfterTest(child);
    child.stdout.destroy();
    child.stderr.destroy();
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(rowsOf(await csvOf(folder))).toHaveLength(2);
  });

  it('gives with a server the rows that it gives without, and never another one its key', async () => {
    const folder = await folderWith(Array.from({ length: 40 }, (_, i) => `${i}.png`));
    await writeFile(join(folder, 'photos/b.png'), 'no image');
    await classify(folder, ...pair, '-k', '3');
    await copyFile(join(folder, 'out.csv'), join(folder, 'local.csv'));
    const served = await startServed(workplace, '-k', '3', '--max-images', '3');
    const refused = await classify(folder, '--server', served.url);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('[output_exists]') as string });
    const ran = await classify(folder, '--server', served.url, '--overwrite');
    expect(ran.stderr).toContain('1 of 41 files in out.csv could not be classified');
    const shown = (rows: Row[]): unknown[] =>
      rows.map(({ path, label, nearest_ids, error }) => [path, label, nearest_ids, error.split(':')[0]]);
    expect(shown(rowsOf(await csvOf(folder)))).toEqual(
      shown(rowsOf(await readFile(join(folder, 'local.csv'), 'utf8'))),
    );

    const table = await nearvoteIn(folder, 'classify', 'photos/1.png', '--server', served.url);
    expect(table.stdout).toMatch(/│ red/);
    for (const wrong of [
      ['--search', 'exact'],
      ['--workers', '2'],
    ]) {
      const usage = await classify(folder, '--server', served.url, ...wrong);
      expect(usage).toMatchObject({ code: 2, stderr: expect.stringContaining(wrong[0] ?? '') as string });
    }
  });
});
