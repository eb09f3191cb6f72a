import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/audit/findings.js';
import { seededBytes } from '../image/drawing.js';
import { nearvote } from './in-process.js';
import { colours } from './nearvote.js';

/** Blotches of a colour, each picture with its own: 6 x 5 of them, so that they survive a thumbnail. */
function draw(colour: readonly number[], seed: number): Promise<Buffer> {
  const next = seededBytes(seed);
  const blotches = Uint8Array.from({ length: 30 }, () => next());
  const pixels = Uint8Array.from({ length: 48 * 40 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 48, Math.floor(i / 3 / 48)];
    const blotch = blotches[6 * Math.floor(y / 8) + Math.floor(x / 8)] ?? 0;
    return Math.max(0, Math.min(255, (colour[i % 3] ?? 0) + (blotch - 128) / 2));
  });
  return sharp(pixels, { raw: { width: 48, height: 40, channels: 3 } })
    .png()
    .toBuffer();
}

describe('nearvote audit, on drawn pictures with planted faults', () => {
  let base = '';
  let index = '';
  let photos = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-audit-'));
    [index, photos] = [join(base, 'index', 'colours'), join(base, 'photos')];
    const test = join(base, 'test');
    for (const [label, colour] of Object.entries(colours)) {
      await mkdir(join(photos, label), { recursive: true });
      await mkdir(join(test, label), { recursive: true });
      const first = 1000 * (colour[0] ?? 0);
      for (let i = 0; i < 20; i++)
        await writeFile(join(photos, label, `${i}.png`), await draw(colour, first + i));
      for (let i = 0; i < 4; i++)
        await writeFile(join(test, label, `${i}.png`), await draw(colour, first + 500 + i));
    }
    // Two pictures under a wrong label, a picture saved again as JPEG, one that has two labels, and one in the test set.
    await writeFile(join(photos, 'green', 'wrong.png'), await draw(colours.red, 1));
    await writeFile(join(photos, 'blue', 'wrong.png'), await draw(colours.green, 2));
    await writeFile(
      join(photos, 'red', 'again.jpg'),
      await sharp(join(photos, 'red', '3.png'))
        .jpeg({ quality: 92 })
        .toBuffer(),
    );
    await cp(join(photos, 'blue', '7.png'), join(photos, 'green', 'blue-7.png'));
    await cp(join(photos, 'green', '5.png'), join(test, 'green', 'leaked.png'));
    const built = await nearvote(
      ...['build', '--data', photos, '--encoder', 'models/cifar10-compact', '--out', index],
    );
    expect(built).toMatchObject({ code: 0 });
  });
  afterAll(() => rm(base, { recursive: true }));

  it('finds each of them, and writes a table, findings and a page', async () => {
    const [out, report] = [join(base, 'findings.jsonl'), join(base, 'report.html')];
    const ran = await nearvote(
      ...['audit', '--index', index, '--examples', photos, '--test', join(base, 'test'), '--k', '10'],
      ...['--out', out, '--report', report],
    );
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('64 examples of 3 labels, k = 10');
    expect(ran.stdout).toContain(
      '1 group within a label are duplicates, 1 across labels, confirmed by their pixels',
    );
    expect(ran.stdout).toContain('1 of 13 test images are in the index too, confirmed by their pixels');

    const lines = (await readFile(out, 'utf8')).trim().split('\n');
    const findings = lines.map((line) => JSON.parse(line) as Finding);
    const of = (kind: Finding['kind']): Finding[] => findings.filter((finding) => finding.kind === kind);
    expect(new Set(of('mislabelled').flatMap(({ sources }) => sources))).toEqual(
      new Set(['green/wrong.png', 'blue/wrong.png', 'green/blue-7.png']),
    );
    expect(of('duplicates').map(({ sources }) => sources)).toEqual([['red/3.png', 'red/again.jpg']]);
    expect(of('conflicting-duplicates')).toEqual([
      expect.objectContaining({ sources: ['blue/7.png', 'green/blue-7.png'], labels: ['blue', 'green'] }),
    ]);
    expect(of('leak')).toEqual([
      expect.objectContaining({ sources: ['green/5.png'], test: { id: 'green/leaked.png', label: 'green' } }),
    ]);
    expect(await readFile(report, 'utf8')).toContain('green/wrong.png');
  });

  it('shows of a large group only the first few, and writes all', async () => {
    const [many, built] = [join(base, 'many'), join(base, 'index', 'many')];
    for (let i = 0; i < 12; i++) {
      await cp(join(photos, 'red', '1.png'), join(many, 'red', `${i}.png`));
      await cp(join(photos, 'blue', `${i}.png`), join(many, 'blue', `${i}.png`));
    }
    await nearvote('build', '--data', many, '--encoder', 'models/cifar10-compact', '--out', built);
    const out = join(base, 'many.jsonl');
    const { stdout } = await nearvote('audit', '--index', built, '--examples', many, '--out', out);
    expect(stdout).toMatch(/ (red\/\d+\.png \(red\), ){4}red\/\d+\.png \(red\) and 7 more\n/);
    const groups = (await readFile(out, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Finding)
      .filter(({ kind }) => kind === 'duplicates');
    expect(groups.map(({ sources }) => sources.length)).toEqual([12]);
  });

  it('leaves what was there where the disk takes only part of the findings', async () => {
    const folder = join(base, 'full');
    await mkdir(folder);
    const out = join(folder, 'findings.jsonl');
    await writeFile(out, 'earlier\n');
    // A file that may have 1 KB is as a disk that is full.
    const script =
      'trap "" XFSZ; ulimit -f 1; exec "$0" dist/cli/main.js audit --index "$1" --k 10 --out "$2"';
    await expect(
      promisify(execFile)('bash', ['-c', script, process.execPath, index, out]),
    ).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('Expected to write') as string });
    expect(await readFile(out, 'utf8')).toBe('earlier\n');
    expect(await readdir(folder)).toEqual(['findings.jsonl']);
  });

  it('needs neither images nor encoder to ask the index alone, and sums up as JSON', async () => {
    const { code, stdout } = await nearvote(
      ...['audit', '--index', index, '--models', join(base, 'none'), '--k', '10', '--json'],
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ examples: 64, labels: 3, k: 10, test: null, pixels: false, trainedOn: 0 },
      findings: { mislabelled: 3, leak: 0 },
      condensing: { votes: 64, heldOut: 'leave-one-out' },
    });
  });

  it('says that duplicates may be some, and to look at them, where it is given no pictures', async () => {
    const report = join(base, 'unseen.html');
    const { stdout } = await nearvote(
      ...['audit', '--index', index, '--test', join(base, 'test'), '--k', '10', '--report', report],
    );
    expect(stdout).toMatch(/groups? within a label may be duplicates, .* look at the pictures/);
    expect(stdout).toMatch(/of 13 test images may be in the index too, .* look at the pictures/);
    expect(stdout).toMatch(/ may be green\/5\.png/);
    const page = await readFile(report, 'utf8');
    expect(page).toContain('May be duplicates');
    expect(page).toContain('look at them before any is taken out');
    expect(page).not.toContain('confirmed');
  });

  it('says that some were told by their embeddings alone where an image can no longer be read', async () => {
    const damaged = join(base, 'damaged');
    await cp(photos, damaged, { recursive: true });
    await writeFile(join(damaged, 'green', 'blue-7.png'), 'no picture');
    const { stdout } = await nearvote('audit', '--index', index, '--k', '10', '--examples', damaged);
    expect(stdout).toMatch(
      /groups? within a label may be duplicates, .* some told by their embeddings alone/,
    );
    expect(stdout).not.toContain('--examples compares');
  });

  it('lists as many suspicious labels as it is asked for', async () => {
    const { stdout } = await nearvote('audit', '--index', index, '--k', '10', '--suspects', '7', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ findings: { mislabelled: 7 } });
  });

  it('says of suspicious labels that it was asked for how few are likely wrong', async () => {
    const report = join(base, 'suspects.html');
    const { stdout } = await nearvote(
      ...['audit', '--index', index, '--k', '10', '--suspects', '25', '--report', report],
    );
    expect(stdout).toContain('The 25 most suspicious labels, of which 3 are likely wrong');
    expect(stdout).toContain('and 5 more, which --out writes too');
    const page = await readFile(report, 'utf8');
    expect(page).toContain('The most suspicious labels');
    expect(page).not.toContain('Likely mislabelled');
  });

  it('says the same twice', async () => {
    const run = async () => (await nearvote('audit', '--index', index, '--seed', '3')).stdout;
    expect(await run()).toBe(await run());
  });

  it.each([
    ['a k beyond the others', ['--k', '64'], 'at most 63', 1],
    ['a k that is none', ['--k', '0'], 'whole number from 1', 2],
    ['an index that is not there', ['--index', 'no/such'], 'Expected an index', 1],
    ['a folder that holds other images', ['--examples', 'TEST'], 'but 64 are not there', 1],
    ['a test set that is not there', ['--test', 'no/such'], 'Expected a dataset', 1],
    ['an output that cannot be written', ['--out', 'no/such/folder/file'], 'Expected to write', 1],
  ])('refuses %s', async (_, args, message, code) => {
    const given = args.map((arg) => (arg === 'TEST' ? join(base, 'only-others') : arg));
    await cp(join(base, 'test', 'red'), join(base, 'only-others', 'maroon'), { recursive: true });
    const ran = await nearvote('audit', '--index', index, ...given);
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(message);
  });
});
