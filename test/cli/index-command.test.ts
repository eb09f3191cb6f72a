import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockWriter } from '../../src/examples/writer.js';
import { teachSmallIndex } from '../curate/taught-index.js';
import { nearvoteHere } from './in-process.js';
import { nearvoteIn, type Ran } from './nearvote.js';

let base = '';
let dir = '';
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-index-command-'));
  dir = await teachSmallIndex(join(base, 'index/pets'));
});
afterAll(() => rm(base, { recursive: true }));

const index = (...args: string[]): Promise<Ran> => nearvoteHere(base, ['index', ...args]);

describe('nearvote index', () => {
  it('lists the indexes of a folder', async () => {
    const { stdout, code } = await index('list');
    expect(code).toBe(0);
    expect(stdout).toMatch(/pets .* 4 .* 3 .* 4 .* tiny 1\.0\.0/);
    const [listed] = JSON.parse((await index('list', 'index', '--json')).stdout) as object[];
    expect(listed).toMatchObject({ name: 'pets', examples: 4, labels: 3, changesSince: 4, sequence: 4 });
    expect((await index('list', 'none')).stderr).toContain('[index_missing]');
  });

  it('shows an index by its name and by its folder', async () => {
    const { stdout } = await index('show', 'pets');
    expect(stdout).toContain(`pets ${basename(dir)}, built of drawn, with 4 changes since: sequence 4`);
    expect(stdout).toMatch(/lynx .* 2/);
    const shown = await index('show', '--index', 'index/pets', '--json');
    expect(JSON.parse(shown.stdout)).toMatchObject({ examples: 4, versions: [{ version: basename(dir) }] });
  });

  it('advises which labels would gain from more examples', async () => {
    const { stdout, code } = await index('advise', 'pets');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Leave-one-out accuracy, mean over labels, of 4 examples\n/);
    expect(stdout).toMatch(/dog +│ +1 │ cannot be measured/);
    const advice = JSON.parse((await index('advise', '--json')).stdout) as { labels: object[] };
    expect(advice).toMatchObject({ sequence: 4, examples: 4, measuredOn: 4 });
    expect(advice.labels).toContainEqual({ label: 'dog', examples: 1, images: 0, curve: [], gain: null });
  });

  it('logs changes, the newest first', async () => {
    const { stdout } = await index('log', '--limit', '2');
    expect(stdout).toMatch(/4 .* delete .* d0 .* dog[^]* 3 │ +2 .* relabel .* c1 .* cat -> lynx/);
    expect(stdout).not.toContain('d1');
    const lines = (await index('log', 'pets', '--before', '2', '--json')).stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({
        sequence: 1,
        kind: 'add',
        id: 'd1',
        label: 'dog',
        at: '2026-01-01T12:00:00.000Z',
      }),
    ]);
  });

  it('shows what differs between two states', async () => {
    const { stdout } = await index('diff', '0', '4', '--limit', '1');
    expect(stdout).toContain('1 example added, 1 deleted, 2 relabelled');
    expect(stdout).toMatch(/lynx +│ +0 │ +0 │ +0 │ +2 │ +0 │ +2/);
    expect(stdout).toContain('+ d1 dog 100.png\n- d0 dog d0.png\n~ c0 cat -> lynx c0.png\nand 1 more');
    expect(JSON.parse((await index('diff', '4', '4', '--json')).stdout)).toMatchObject({
      added: [],
      labels: [],
    });
    expect(await index('diff', '0', 'nine')).toMatchObject({ code: 2 });
  });

  it('changes an index and takes a change back, unless another process holds the right to', async () => {
    const copy = join(base, 'changed');
    await teachSmallIndex(copy);
    const ask = (...args: string[]): Promise<Ran> => index(...args, '--index', copy);
    expect((await ask('relabel', 'c2', 'lynx', '--who', 'Ada')).stdout).toBe(
      `relabelled c2 (lynx)\nChanged: sequence 5; nearvote index revert 5 --index ${copy} takes it back\n`,
    );
    expect((await ask('revert', '5')).stdout).toContain('relabelled c2 (cat)\nChanged: sequence 6');
    const lock = await lockWriter(copy);
    const { code, stderr } = await ask('delete', 'c0', 'd1');
    await lock.release();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`process ${process.pid} .*--server URL asks it instead.*\\[index_readonly\\]`),
    );
    expect((await ask('rename', 'lynx', 'bobcat', '--json')).stdout).toMatch(/^{"sequence":8,"operation":7,/);
  });

  it('says of a log that goes on how to see what is older', async () => {
    const copy = join(base, 'paged');
    await teachSmallIndex(copy);
    const page = await index('log', '--limit', '3', '--index', copy);
    expect(page.stdout).toContain(`Older changes: nearvote index log --before 2 --limit 3 --index ${copy}\n`);
    const last = await index('log', '--before', '2', '--limit', '3', '--index', copy);
    expect(last.stdout).not.toContain('Older');
    expect((await index('log', '--limit', '4', '--index', copy)).stdout).not.toContain('Older');
    const one = await index('log', '--id', 'c0', '--limit', '1', '--index', copy);
    expect(one.stdout).not.toContain('Older');
    expect((await index('log', '--limit', '3', '--json', '--index', copy)).stdout).not.toContain('Older');
  });

  it('makes an empty index, once, of which offline commands say that it is empty', async () => {
    const made = await index('create', 'shop', '--encoder', 'models/cifar10-compact');
    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('no examples yet') as string });
    const { stdout } = await index('show', 'shop', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'shop', examples: 0, labels: [], dimension: 256 });
    expect((await index('verify', 'shop')).stdout).toContain('All is well');
    expect((await index('compact', 'shop')).stdout).toContain('Nothing changed');
    const again = await index('create', 'shop', '--encoder', 'models/cifar10-compact');
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('[output_exists]') as string });
    expect((await nearvoteIn(base, 'audit', '--index', 'index/shop')).stderr).toContain('[index_empty]');
    expect(await index('advise', 'shop')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[index_empty]') as string,
    });
  });

  it('says which names there may be, and which there are', async () => {
    const made = await index('create', 'my clothes', '--encoder', 'models/cifar10-compact');
    expect(made).toMatchObject({ code: 2 });
    expect(made.stderr).toContain('letters, digits, dots, underscores and hyphens but received "my clothes"');
    for (const command of ['verify', 'show', 'log', 'compact']) {
      const { stderr, code } = await index(command, 'nope');
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /an index called nope in \.\/index but there is none; there is pets.*\[index_missing\]/,
      );
    }
  });

  it('has nothing to classify by while it is empty, and no file says otherwise', async () => {
    const args = ['red.png', '--csv', 'out.csv', '--index', 'index/shop'];
    await writeFile(join(base, 'red.png'), 'x');
    expect((await nearvoteIn(base, 'classify', ...args)).stderr).toContain('[index_empty]');
    expect((await readdir(base)).filter((name) => name.startsWith('out.csv'))).toEqual([]);
  });

  it('says what is left out by commands that look at a version alone, and nothing where nothing is', async () => {
    const { stderr } = await nearvoteIn(base, 'audit', '--index', 'index/pets');
    expect(stderr).toContain(
      `Warning: this looks at version ${basename(dir)} alone and leaves out 4 changes made to index/pets since`,
    );
    expect((await nearvoteIn(base, 'audit', '--index', 'index/shop')).stderr).not.toContain('Warning');
  });

  it('verifies an index, and exits with 1 where something is wrong', async () => {
    expect(await index('verify', 'pets')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('4 changes') as string,
    });
    const file = join(dir, 'rejects.jsonl');
    await writeFile(file, 'x');
    const { code, stdout } = await index('verify', 'pets');
    expect(code).toBe(1);
    expect(stdout).toContain(`Wrong: Expected ${file}`);
    expect(JSON.parse((await index('verify', 'pets', '--json')).stdout)).toMatchObject({
      defects: [expect.any(String)],
    });
    await writeFile(file, '');
    expect(await readFile(file, 'utf8')).toBe('');
  });
});
