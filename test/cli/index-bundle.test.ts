import { execFile, spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { asEmbeddings } from '../../src/domain/embeddings.js';
import { teachSmallIndex } from '../curate/taught-index.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { nearvoteHere } from './in-process.js';
import type { Ran } from './nearvote.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-bundles-'));
afterAll(() => rm(base, { recursive: true }));

let here = '';
let made = 0;
beforeEach(async () => {
  here = join(base, String(made++));
  await teachSmallIndex(join(here, 'index', 'pets'));
});
const index = (...args: string[]): Promise<Ran> => nearvoteHere(here, ['index', ...args]);
const bundles = async (): Promise<string[]> => (await readdir(here)).filter((name) => name.endsWith('.tar'));

/** Whether a small disk of one's own can be had. */
const mountsDisks = await promisify(execFile)('unshare', [
  ...['--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', base],
]).then(
  () => true,
  () => false,
);

/** Some megabytes, so that they take a moment. */
async function publishLarge(root: string): Promise<void> {
  const [count, dimension] = [20_000, 64];
  const values = new Float32Array(count * dimension);
  for (let row = 0; row < count; row++) values[row * dimension + (row % dimension)] = 1;
  await publishSmallIndex({
    ...{ root, withoutGraph: true, embeddings: asEmbeddings(values, dimension) },
    examples: Array.from({ length: count }, (_, i) => ({ id: `e${i}`, label: 'one', source: `${i}.png` })),
  });
}

describe('nearvote index export and import', () => {
  it('fold changes in, carry an index to another folder, and say what it is', async () => {
    const exported = await index('export', 'pets');
    expect(exported.code).toBe(0);
    const [path = ''] = exported.stdout.split('\n');
    expect(exported.stdout).toMatch(
      /^pets-[0-9a-f]{64}\.tar\npets \S+: 4 examples, all changes up to 4, \d+ bytes\n$/,
    );
    const imported = await index('import', path, 'copy');
    expect(imported.stdout).toMatch(/^Published copy \S+: 4 examples\n$/);
    expect((await index('verify', 'copy')).stdout).toContain('All is well');
    expect(JSON.parse((await index('show', 'copy', '--json')).stdout)).toMatchObject({
      examples: 4,
      sequence: 4,
    });
    const again = await index('import', path, 'copy');
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('[output_exists]') as string });
    expect((await index('import', path, 'copy', '--replace')).code).toBe(0);
    // The name that it had.
    await rm(join(here, 'index', 'pets'), { recursive: true });
    expect((await index('import', path)).stdout).toContain('Published pets');
  });

  it('leave changes out where that is asked, and change nothing then', async () => {
    const before = await readFile(join(here, 'index', 'pets', 'current'));
    const { stdout, stderr } = await index('export', '--as-published', '--out', 'made/here', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ examples: 4, sequence: 0 });
    expect(stderr).toContain('4 changes since the version are left out');
    expect(await readFile(join(here, 'index', 'pets', 'current'))).toEqual(before);
    expect(await readdir(join(here, 'made', 'here'))).toHaveLength(1);
  });

  it('carry the encoder too, which is found beside the index from then on', async () => {
    await cp(resolve('models/cifar10-compact'), join(here, 'mine', 'cifar10-compact'), { recursive: true });
    expect((await index('create', 'shop', '--encoder', 'mine/cifar10-compact')).code).toBe(0);
    await index('export', 'shop', '--with-encoder');
    const [file = ''] = await bundles();
    const there = join(here, 'another machine');
    await mkdir(there);
    const imported = await nearvoteHere(there, ['index', 'import', join('..', file), '--models', 'encoders']);
    expect(imported.stdout).toContain('its encoder is in encoders/cifar10-compact');
    const shown = join(there, 'index', 'shop');
    const version = (await readFile(join(shown, 'current'), 'utf8')).trim();
    expect(await readFile(join(shown, version, 'manifest.json'), 'utf8')).toContain(
      '../../encoders/cifar10-compact',
    );
    const model = 'cifar10-compact/encoder.onnx';
    const carried = await readFile(join(there, 'encoders', model));
    expect(carried.equals(await readFile(join(here, 'mine', model)))).toBe(true);
    expect((await readdir(join(there, 'encoders'))).filter((name) => name.startsWith('.'))).toEqual([]);

    const other = await nearvoteHere(there, [
      'index',
      'import',
      join('..', file),
      'second',
      '--models',
      'encoders',
    ]);
    expect(other.code).toBe(0);
    await writeFile(join(there, 'encoders', model), 'another');
    const clash = await nearvoteHere(there, [
      'index',
      'import',
      join('..', file),
      'third',
      '--models',
      'encoders',
    ]);
    expect(clash.stderr).toContain('Expected no other encoder at encoders/cifar10-compact');
    expect(await readdir(join(there, 'index'))).toEqual(['second', 'shop']);
  });

  it.runIf(mountsDisks)('leave nothing on a disk that is full, and are done when there is room', async () => {
    await publishLarge(join(here, 'index', 'large'));
    await index('export', 'large');
    const [file = ''] = await bundles();
    await mkdir(join(here, 'disk'));
    const full = (args: string): string =>
      `"$@" index ${args} 2>> said; echo $? >> codes; ls -A disk >> left`;
    const script = [
      'mount -t tmpfs -o size=3m none disk',
      full('export large --out disk'),
      full(`import ${file} disk/copy`),
      'mount -o remount,size=30m none disk',
      full(`import ${file} disk/copy`),
    ].join('; ');
    await promisify(execFile)(
      'unshare',
      ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', process.execPath, resolve('dist/cli/main.js')],
      { cwd: here },
    );
    expect((await readFile(join(here, 'said'), 'utf8')).match(/ENOSPC.*\[output_unwritable\]/g)).toHaveLength(
      2,
    );
    expect(await readFile(join(here, 'codes'), 'utf8')).toBe('1\n1\n0\n');
    expect(await readFile(join(here, 'left'), 'utf8')).toBe('copy\n');
  });

  it('leave nothing half where an import is killed, and the next one is as if there had been none', async () => {
    await publishLarge(join(here, 'index', 'large'));
    await index('export', 'large');
    const [file = ''] = await bundles();
    const copy = join(here, 'index', 'copy');
    await mkdir(copy);
    const staging = watch(copy, { recursive: true });
    const child = spawn(process.execPath, [resolve('dist/cli/main.js'), 'index', 'import', file, 'copy'], {
      ...{ cwd: here, stdio: 'ignore' },
    });
    const ended = new Promise((done) => child.once('exit', (_code, signal) => done(signal)));
    await new Promise<void>((done) => {
      staging.on('change', (_event, name) => {
        if (basename(String(name)) === 'embeddings.f32') done();
      });
    });
    child.kill('SIGKILL');
    staging.close();
    expect(await ended).toBe('SIGKILL');
    expect(await stat(join(copy, 'current')).catch(() => undefined)).toBeUndefined();
    expect((await index('list')).stdout).not.toContain('copy');
    expect((await index('import', file, 'copy')).stdout).toContain('Published copy');
    expect((await index('verify', 'copy')).stdout).toContain('All is well');
    expect((await readdir(copy)).filter((name) => name.startsWith('.staging'))).toEqual([]);
  });

  it.each([
    ['a digest that is none', ['import', 'x.tar', '--sha256', 'abc'], 'Expected a sha256 of 64', 2],
    ['a file that is not there', ['import', 'x.tar'], '[bundle_invalid]', 1],
    ['an index that is not there', ['export', 'nobody'], '[index_missing]', 1],
    ['an encoder that is not there', ['export', 'pets', '--with-encoder'], '[encoder_missing]', 1],
  ])('refuse %s', async (_, args, message, code) => {
    expect(await index(...args)).toMatchObject({ code, stderr: expect.stringContaining(message) as string });
    expect(await readdir(here)).toEqual(['index']);
  });
});
