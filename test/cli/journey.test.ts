import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, cp, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nearvote } from './in-process.js';
import { cli, colours, drawFolders, drawSpeckled, nearvoteIn, root } from './nearvote.js';

const cifar = join(root, '../shared/data/cifar10');

describe('the commands, one after another, as a user has them', () => {
  let base = '';
  let index = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-journey-'));
    index = join(base, 'index', 'colours');
    await drawFolders(join(base, 'train'), { count: 10, firstSeed: 0 });
    await drawFolders(join(base, 'validation'), { count: 4, firstSeed: 500 });
    const broken = (await drawSpeckled(colours.red, 99).jpeg().toBuffer()).subarray(0, 400);
    await writeFile(join(base, 'train', 'red', 'broken.jpg'), broken);
    const built = await nearvote(
      ...['build', '--data', join(base, 'train'), '--encoder', 'models/cifar10-compact', '--out', index],
    );
    expect(built).toMatchObject({ code: 0 });
    expect(built.stdout).toContain('30 examples of 3 labels');
    expect(built.stdout).toContain('1 rejected');
  });
  afterAll(() => rm(base, { recursive: true }));

  const copyIndex = async (): Promise<string> => {
    const copy = join(await mkdtemp(join(base, 'copy-')), 'colours');
    await cp(index, copy, { recursive: true });
    return copy;
  };

  it('refuses an execution provider that is not there, and a share of rejects that is none', async () => {
    const encoder = ['--encoder', 'models/cifar10-compact'];
    const build = ['build', '--data', join(base, 'train'), ...encoder, '--out', join(base, 'never')];
    const evaluate = ['evaluate', '--data', join(base, 'validation'), '--index', index];
    for (const command of [build, evaluate]) {
      const refused = await nearvote(...command, '--providers', 'abacus');
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('abacus') as string });
    }
    for (const share of ['1.5', '-0.1', '', 'few']) {
      expect(await nearvote(...build, `--max-rejects=${share}`)).toMatchObject({ code: 2 });
    }
    const strict = await nearvote(...build, '--max-rejects', '0');
    expect(strict).toMatchObject({ code: 1, stderr: expect.stringContaining('1 of 31') as string });
  });

  it('lists what it rejected, with the reason', async () => {
    const version = (await readFile(join(index, 'current'), 'utf8')).trim();
    const rejects = (await readFile(join(index, version, 'rejects.jsonl'), 'utf8')).trim().split('\n');
    expect(rejects.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ id: 'red/broken.jpg', code: 'image_damaged' }),
    ]);
  });

  it('classifies files as a table, and as a JSON line each', async () => {
    const files = ['red', 'blue'].map((label) => join(base, 'validation', label, '1.JPG'));
    const table = await nearvote('classify', ...files, '--index', index);
    expect(table).toMatchObject({ code: 0 });
    expect(table.stdout).toMatch(/red\/1\.JPG +│ red .*\n[^]*blue\/1\.JPG +│ blue /);
    const { stdout } = await nearvote('classify', ...files, '--index', index, '--json');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { decision: { label: string } });
    expect(lines.map(({ decision }) => decision.label)).toEqual(['red', 'blue']);
  });

  it('classifies what it can, says what it cannot, and fails', async () => {
    const good = join(base, 'validation', 'green', '0.JPG');
    const missing = join(base, 'no-such.jpg');
    const text = join(base, 'text.jpg');
    await writeFile(text, 'not an image');
    const { code, stdout, stderr } = await nearvote(
      ...['classify', missing, text, good, '--index', index, '--json'],
    );
    expect(code).toBe(1);
    expect(stderr).toContain('2 of 3 images could not be classified');
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toEqual([
      expect.objectContaining({
        file: missing,
        error: expect.objectContaining({ code: 'image_missing' }) as object,
      }),
      expect.objectContaining({
        file: text,
        error: expect.objectContaining({ code: 'image_unsupported' }) as object,
      }),
      expect.objectContaining({
        file: good,
        decision: expect.objectContaining({ label: 'green' }) as object,
      }),
    ]);
  });

  it('evaluates held-out photos, and warns when they are not held out', async () => {
    const { code, stdout } = await nearvote(
      ...['evaluate', '--data', join(base, 'validation'), '--index', index, '--json'],
      ...['--predictions', join(base, 'predictions.jsonl')],
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ queries: 12, examples: 30, duplicates: 0, warnings: [] });
    expect((await readFile(join(base, 'predictions.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(12);
    const same = await nearvote('evaluate', '--data', join(base, 'train'), '--index', index);
    expect(same.stdout).toContain('30 images are all but identical to an example');
    expect(same.stdout).toContain('1 images could not be decoded');
  });

  it('tells unknown images from known ones, and refuses such as are known', async () => {
    const evaluation = ['evaluate', '--data', join(base, 'validation'), '--index', index, '--json'];
    const strangers = join(base, 'strangers');
    await drawFolders(strangers, { labels: { grey: [128, 128, 128] }, count: 3, firstSeed: 900 });
    const { code, stdout } = await nearvote(...evaluation, '--ood', strangers);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      unknown: { images: 3, k: 20, rules: [{ rule: 'similarity' }, { rule: 'vote' }] },
    });
    // Without a folder for each class: these have none.
    const flat = await nearvote(...evaluation, '--ood', join(strangers, 'grey'));
    expect(JSON.parse(flat.stdout)).toMatchObject({ unknown: { images: 3 } });
    const overlapping = await nearvote(...evaluation, '--ood', join(base, 'train'));
    expect(overlapping.stderr).toMatch(/has the path of an example of the index \[dataset_invalid\]/);
    expect(overlapping.code).toBe(1);
  });

  it('warns of labels that the index does not have, and refuses a k beyond its size', async () => {
    const folder = join(base, 'more');
    await cp(join(base, 'validation'), folder, { recursive: true });
    await cp(join(folder, 'red'), join(folder, 'crimson'), { recursive: true });
    const odd = await nearvote('evaluate', '--data', folder, '--index', index);
    expect(odd).toMatchObject({ code: 0 });
    expect(odd.stdout).toContain('Warning: the index has no example of crimson: all 4 images');
    const wide = await nearvote('evaluate', '--data', folder, '--index', index, '--k', '31');
    expect(wide.stderr).toContain('Expected k to be at most 30, the size of the index, but received 31');
    expect(wide.code).toBe(1);
  });

  it('writes its report as one page with the pictures of its mistakes', async () => {
    // Photos of one colour under the name of another: mistakes that are sure of themselves.
    const folder = join(base, 'misnamed');
    await cp(join(base, 'validation', 'red'), join(folder, 'blue'), { recursive: true });
    await cp(join(base, 'validation', 'green'), join(folder, 'green'), { recursive: true });
    const file = join(base, 'report.html');
    const written = await nearvote(
      ...['evaluate', '--data', folder, '--index', index, '--report', file],
      ...['--examples', join(base, 'train')],
    );
    expect(written).toMatchObject({ code: 0 });
    const html = await readFile(file, 'utf8');
    expect(html).toContain('blue taken for red');
    // Four mistakes and their neighbours.
    expect(html.match(/data:image\/webp;base64,/g)?.length).toBeGreaterThan(4);
    const nowhere = await nearvote(
      ...['evaluate', '--data', folder, '--index', index, '--report', join(base, 'no-such', 'report.html')],
    );
    expect(nowhere.stderr).toContain('[output_unwritable]');
  });

  it('serves the same decision over HTTP, from the graph', async () => {
    const file = join(base, 'validation', 'blue', '2.JPG');
    const { stdout } = await nearvote('classify', file, '--index', index, '--json');
    const { decision } = JSON.parse(stdout) as {
      decision: { neighbours: { id: string; label: string; similarity: number }[] };
    };
    const server = spawn(
      process.execPath,
      [cli, 'serve', '--index', index, '--port', '0', '--log-level', 'silent'],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    try {
      let url = '';
      for await (const line of createInterface({ input: server.stdout })) {
        url = /http:\/\/\S+/.exec(line)?.[0] ?? '';
        if (url !== '') break;
      }
      const form = new FormData();
      form.append('image', new Blob([new Uint8Array(await readFile(file))]), '2.JPG');
      const answer = await fetch(`${url}/classify`, { method: 'POST', body: form });
      expect(answer.status).toBe(200);
      // Paths within the dataset are shown to clients only with --expose-sources.
      const shown = decision.neighbours.map(({ id, label, similarity }) => ({ id, label, similarity }));
      expect(await answer.json()).toEqual({
        ...decision,
        id: expect.any(String) as string,
        neighbours: shown,
      });
    } finally {
      server.kill('SIGKILL');
    }
  });

  it.each(['embeddings.f32', 'vectors.hnsw', 'examples.jsonl', 'manifest.json'])(
    'refuses to serve an index whose %s was cut short, and names it',
    async (file) => {
      const copy = await copyIndex();
      const version = (await readFile(join(copy, 'current'), 'utf8')).trim();
      const path = join(copy, version, file);
      // Without a compiler there is no graph to cut.
      if (!existsSync(path)) return;
      await truncate(path, 10);
      const { code, stderr } = await nearvote(
        'serve',
        '--index',
        copy,
        '--port',
        '0',
        '--log-level',
        'silent',
      );
      expect(code).toBe(1);
      expect(stderr).toContain(file);
      expect(stderr).toContain('[index_invalid]');
    },
  );

  it('refuses an index that was built with another encoder, and a damaged model', async () => {
    const models = await mkdtemp(join(base, 'models-'));
    const encoder = join(models, 'cifar10-compact');
    await cp(join(root, 'models/cifar10-compact'), encoder, { recursive: true });
    const own = join(models, 'colours');
    const built = await nearvote('build', '--data', join(base, 'train'), '--encoder', encoder, '--out', own);
    expect(built).toMatchObject({ code: 0 });
    await appendFile(join(encoder, 'encoder.onnx'), 'x');
    const args = ['serve', '--index', own, '--models', models, '--port', '0', '--log-level', 'silent'];
    const damaged = await nearvoteIn(root, ...args);
    expect(damaged).toMatchObject({ code: 1 });
    expect(damaged.stderr).toContain('[encoder_invalid]');
    const manifest = JSON.parse(await readFile(join(encoder, 'encoder.json'), 'utf8')) as object;
    await writeFile(join(encoder, 'encoder.json'), JSON.stringify({ ...manifest, sha256: '0'.repeat(64) }));
    const other = await nearvoteIn(root, ...args);
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toContain('[encoder_mismatch]');
  });

  it('says what is missing, and leaves the old index where a build fails', async () => {
    const before = await readdir(index);
    const missing = await nearvote(
      ...['build', '--data', join(base, 'no-such'), '--encoder', 'models/cifar10-compact', '--out', index],
    );
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.stderr).toContain('[dataset_missing]');
    const strict = await nearvote(
      ...[
        'build',
        '--data',
        join(base, 'train'),
        '--encoder',
        'models/cifar10-compact',
        '--out',
        index,
        '--strict',
      ],
    );
    expect(strict).toMatchObject({ code: 1 });
    expect(strict.stderr).toContain('red/broken.jpg');
    expect(await readdir(index)).toEqual(before);
    const blocked = join(base, 'a-file');
    await writeFile(blocked, '');
    const unwritable = await nearvote(
      ...['build', '--data', join(base, 'train'), '--encoder', 'models/cifar10-compact', '--out', blocked],
    );
    expect(unwritable.stderr).toContain('[output_unwritable]');
    expect(unwritable.code).toBe(1);
  });

  it('exits with 2 and one line for a use it does not know', async () => {
    expect(await nearvote('classify')).toMatchObject({ code: 2 });
    expect(await nearvote('evaluate', '--data', base, '--k', '0')).toMatchObject({ code: 2 });
    expect(await nearvote('no-such-command')).toMatchObject({ code: 2 });
    const help = await nearvote('--help');
    expect(help).toMatchObject({ code: 0 });
    for (const command of ['serve', 'build', 'classify', 'evaluate', 'calibrate', 'encoder']) {
      expect(help.stdout).toContain(command);
    }
  });
});

// The CIFAR files are not in the repository. All 10,000 are evaluated by the command that docs/benchmarks.md names.
describe.skipIf(!existsSync(cifar))(
  'the shipped encoder and index on the first 2,000 test images of CIFAR-10',
  () => {
    it('reach the accuracy and the index recall that they had when they were made', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'nearvote-cifar-'));
      const whole = await readFile(join(cifar, 'test_batch.bin'));
      await writeFile(join(folder, 'test_batch.bin'), whole.subarray(0, 2_000 * (1 + 3 * 32 * 32)));
      await cp(join(cifar, 'batches.meta.txt'), join(folder, 'batches.meta.txt'));
      const { stdout } = await nearvote(
        ...['evaluate', '--data', folder, '--index', 'index/cifar10', '--json', '--workers', '2'],
      );
      await rm(folder, { recursive: true });
      const report = JSON.parse(stdout) as {
        queries: number;
        served: { accuracy: number };
        indexRecall?: { value: number };
        accuracy: { k: number; exact: number }[];
      };
      expect(report.queries).toBe(2_000);
      // 1,863 and 1,864 were right; another processor rounds an image or two the other way.
      expect(report.served.accuracy).toBeGreaterThanOrEqual(0.9305);
      expect(report.accuracy.find(({ k }) => k === 1)?.exact).toBeGreaterThanOrEqual(0.931);
      if (report.indexRecall !== undefined) expect(report.indexRecall.value).toBeGreaterThanOrEqual(0.995);
    }, 300_000);
  },
);
