import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openIndex } from '../../src/examples/index-store.js';
import { nearvote } from '../cli/in-process.js';
import { cli, root } from '../cli/nearvote.js';
import { seededRandom } from '../neighbours/unit-vectors.js';

const encoder = join(root, 'models/cifar10-compact');

async function draw(dir: string, count: number, seed: number): Promise<void> {
  await mkdir(dir, { recursive: true });
  const random = seededRandom(seed);
  for (let i = 0; i < count; i++) {
    const raw = Buffer.from(Array.from({ length: 48 }, () => Math.floor(random() * 256)));
    const picture = sharp(raw, { raw: { width: 4, height: 4, channels: 3 } }).resize(32, 32);
    await picture.png().toFile(join(dir, `${i}.png`));
  }
}

describe('nearvote build', () => {
  let base = '';
  let data = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-command-'));
    data = join(base, 'data');
    for (const [i, label] of ['ant', 'bee'].entries()) await draw(join(data, label), 30, i + 1);
  });
  afterAll(() => rm(base, { recursive: true }));

  it('builds with the shipped encoder and its workers, then only what is new', async () => {
    const out = join(base, 'insects');
    const args = ['build', '--data', data, '--encoder', encoder, '--out', out, '--json'];
    const first = await nearvote(...args, '--workers', '2');
    expect(first.stderr).toContain('embedding: 60/60 images');
    expect(JSON.parse(first.stdout)).toMatchObject({
      name: 'insects',
      embedded: 60,
      fromCache: 0,
      examples: 60,
    });
    await draw(join(data, 'cat'), 5, 3);
    await writeFile(join(data, 'cat', 'text.jpg'), 'text');
    const second = await nearvote(...args.slice(0, -1));
    expect(second.code).toBe(0);
    expect(second.stdout).toContain('65 examples of 3 labels, dimension 256');
    expect(second.stdout).toContain('5 embedded, 60 from the cache, 1 rejected');
    expect((await openIndex(out)).manifest.encoder.name).toBe('cifar10-compact');
    // The same images on one worker, two threads and other batches: bit for bit the same embeddings.
    const other = join(base, 'other');
    await nearvote(...args.with(6, other), '--workers', '1', '--threads', '2', '--max-batch', '7');
    const files = async (path: string) => (await openIndex(path)).manifest.files;
    expect((await files(other))['embeddings.f32']).toEqual((await files(out))['embeddings.f32']);
    expect((await files(other))['examples.jsonl']).toEqual((await files(out))['examples.jsonl']);
  });

  it('makes an index equal to photos that have changed, and takes that back', async () => {
    const [photos, out] = [join(base, 'photos'), join(base, 'synced')];
    for (const [i, label] of ['ant', 'bee'].entries()) await draw(join(photos, label), 6, i + 1);
    const args = ['build', '--sync', '--data', photos, '--encoder', encoder, '--out', out];
    expect((await nearvote(...args, '--dry-run')).stdout).toContain(
      'Nothing was changed: this was a dry run',
    );
    expect(existsSync(out)).toBe(false);
    // Where there is none, it is built.
    expect((await nearvote(...args)).stdout).toContain('12 examples of 2 labels');
    await rename(join(photos, 'ant', '0.png'), join(photos, 'bee', 'moved.png'));
    await unlink(join(photos, 'ant', '1.png'));
    await draw(join(photos, 'cat'), 3, 3);
    const plan =
      'The index synced has 12 examples, and photos has 14 images: 10 as they are, 3 to add, 1 to relabel, 1 to delete';
    const dry = await nearvote(...args, '--dry-run');
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining(plan) as string });
    expect(dry.stdout).toContain('Would be 3 added, 1 relabelled, 1 deleted');
    const { code, stdout } = await nearvote(...args);
    expect(code).toBe(0);
    expect(stdout).toContain(plan);
    expect(stdout).toContain('3 added, 1 relabelled, 1 deleted; 3 embedded, 0 from the cache');
    expect(stdout).toContain(`Changed: sequence 5; nearvote index revert 1 --index ${out} takes it back`);
    const table = (text: string): string[] =>
      text.split('\n').filter((line) => /\b(ant|bee|cat)\b/.test(line));
    expect(table(stdout)).toHaveLength(3);
    expect(table(dry.stdout)).toEqual(table(stdout));
    const again = JSON.parse((await nearvote(...args, '--json')).stdout) as unknown;
    expect(again).toMatchObject({ operation: null, sequence: 5, plan: { unchanged: 14 } });
    expect((await nearvote('index', 'revert', '1', '--index', out)).code).toBe(0);
    const back = JSON.parse((await nearvote('index', 'show', out, '--json')).stdout) as unknown;
    expect(back).toMatchObject({ examples: 12 });
    // An index that was changed is not built anew by mistake, and an option of --sync asks for it.
    expect((await nearvote(...args.filter((arg) => arg !== '--sync'))).stderr).toContain('--sync');
    for (const wrong of [['--drop-changes'], ['--keep-taught'], ['--dry-run']]) {
      const mixed = wrong[0] === '--drop-changes' ? args : args.filter((arg) => arg !== '--sync');
      expect((await nearvote(...mixed, ...wrong)).code, wrong[0]).toBe(2);
    }
  });

  it('takes a seeded sample of each class', async () => {
    const [out, many] = [join(base, 'sample'), join(base, 'sampled')];
    for (const [i, label] of ['ant', 'bee', 'cat'].entries()) await draw(join(many, label), 3 + i, i + 1);
    const args = ['build', '--data', many, '--encoder', encoder, '--out', out, '--json', '--seed', '4'];
    const { stdout } = await nearvote(...args, '--max-per-class', '4');
    expect(JSON.parse(stdout)).toMatchObject({ examples: 11, embedded: 11 });
  });

  it('resumes when it was killed', async () => {
    const out = join(base, 'killed');
    const many = join(base, 'many');
    for (const label of ['ant', 'bee']) await draw(join(many, label), 300, label.length);
    const args = ['build', '--data', many, '--encoder', encoder, '--out', out, '--json'];
    const child = spawn(process.execPath, [cli, ...args, '--workers', '1', '--max-batch', '8'], {
      stdio: 'ignore',
    });
    // Killed once the cache has been written to.
    const cache = join(out, '.cache');
    for (let bytes = 0; bytes === 0;) {
      const [name] = await readdir(cache).catch(() => [] as string[]);
      bytes = name === undefined ? 0 : (await stat(join(cache, name))).size;
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(existsSync(join(out, 'current'))).toBe(false);
    const report = JSON.parse((await nearvote(...args)).stdout) as { embedded: number; fromCache: number };
    expect(report.fromCache).toBeGreaterThanOrEqual(128);
    expect(report.embedded).toBe(600 - report.fromCache);
  });

  it('says what is wrong with what it was given, and exits 1, or 2 for wrong usage', async () => {
    const out = join(base, 'wrong');
    const args = ['build', '--encoder', encoder, '--out', out];
    const missing = await nearvote(...args, '--data', join(base, 'nothing'));
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[dataset_missing]') as string,
    });
    const noEncoder = await nearvote('build', '--data', data, '--encoder', join(base, 'none'), '--out', out);
    expect(noEncoder).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[encoder_missing]') as string,
    });
    const mixed = join(base, 'mixed', 'ant');
    await draw(mixed, 2, 1);
    await writeFile(join(mixed, 'text.jpg'), 'text');
    const strict = await nearvote(...args, '--data', join(base, 'mixed'), '--strict');
    expect(strict).toMatchObject({ code: 1, stderr: expect.stringContaining('ant/text.jpg') as string });
    const file = join(base, 'a-file');
    await writeFile(file, '');
    const unwritable = await nearvote(...args.with(4, file), '--data', data);
    expect(unwritable).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[output_unwritable]') as string,
    });
    expect((await nearvote('build', '--data', data)).code).toBe(2);
    expect((await nearvote(...args, '--data', data, '--m', 'many')).code).toBe(2);
    expect(existsSync(join(out, 'current'))).toBe(false);
  });

  it('shows an example and its environment variables in --help', async () => {
    const { code, stdout } = await nearvote('build', '--help');
    expect(code).toBe(0);
    expect(stdout).toContain('$ nearvote build --data');
    for (const name of [
      'DATA',
      'ENCODER',
      'OUT',
      'SPLIT',
      'M',
      'EF',
      'SEED',
      'MAX_PER_CLASS',
      'MIN_RECALL',
      'STRICT',
      'KEEP',
    ]) {
      expect(stdout).toContain(`NEARVOTE_BUILD_${name}`);
    }
  });
});
