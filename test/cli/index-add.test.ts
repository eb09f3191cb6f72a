import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Taught } from '../../src/curate/taught.js';
import { openJournal } from '../../src/examples/journal.js';
import type { Change, ExampleContent } from '../../src/examples/journal-record.js';
import { nearvoteHere } from './in-process.js';
import { drawSpeckled, colours, type Ran } from './nearvote.js';
import { spawnServed } from './served.js';

const adminKey = 'a-key-of-the-admin-alone';
let base = '';
const index = (...args: string[]): Promise<Ran> => nearvoteHere(base, ['index', ...args]);
const taught = async (...args: string[]): Promise<Taught> => {
  const ran = await index('add', ...args, '--json');
  expect(ran).toMatchObject({ code: 0 });
  return JSON.parse(ran.stdout) as Taught;
};
const photo = (colour: keyof typeof colours, seed: number): Promise<Buffer> =>
  drawSpeckled(colours[colour], seed).jpeg().toBuffer();

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-index-add-'));
  for (const name of ['shop', 'served', 'folders', 'many']) {
    await index('create', name, '--encoder', 'models/cifar10-compact');
  }
  await mkdir(join(base, 'photos/green'), { recursive: true });
  await writeFile(join(base, 'photos/green/0.jpg'), await photo('green', 0));
  await writeFile(join(base, 'photos/green/1.jpg'), await photo('green', 1));
  await mkdir(join(base, 'photos/red'));
  await writeFile(join(base, 'photos/red/0.jpg'), await photo('red', 0));
  await writeFile(join(base, 'damaged.jpg'), (await photo('blue', 0)).subarray(0, 300));
  // Too large to be kept as it is.
  const large = drawSpeckled(colours.blue, 0).resize(900, 700, { kernel: 'nearest' });
  await writeFile(join(base, 'large.png'), await large.png({ compressionLevel: 0 }).toBuffer());
});
afterAll(() => rm(base, { recursive: true }));

async function journalOf(name: string): Promise<{ change: Change; content: ExampleContent | undefined }[]> {
  const options = {
    root: join(base, 'index', name),
    floor: 0,
    access: 'read',
    now: () => new Date(),
  } as const;
  using journal = await openJournal(options);
  return journal
    .log({ limit: 1_000 })
    .toReversed()
    .map((change) => ({ change, content: journal.content(change.sequence) }));
}

describe('nearvote index add', () => {
  it('makes of an image the example that POST /examples makes of it', async () => {
    const served = await spawnServed(
      { index: join(base, 'index/served'), models: join(base, 'models'), red: Buffer.alloc(0) },
      { env: { NEARVOTE_ADMIN_KEY: adminKey }, cwd: base },
    );
    for (const file of ['photos/green/0.jpg', 'large.png']) {
      const form = new FormData();
      form.set('label', 'green');
      form.set('image', new Blob([await readFile(join(base, file))]), file);
      const headers = { 'x-api-key': adminKey };
      const answer = await fetch(`${served.url}/examples`, { method: 'POST', headers, body: form });
      expect(answer.status).toBe(200);
      await taught(file, '--label', 'green', '--index', 'shop');
    }
    const [byHttp, byCommand] = [await journalOf('served'), await journalOf('shop')];
    expect(byCommand).toHaveLength(2);
    for (const [i, { change, content }] of byCommand.entries()) {
      const other = byHttp[i];
      expect([change.id, change.label, content?.digest, content?.source]).toEqual([
        other?.change.id,
        other?.change.label,
        other?.content?.digest,
        other?.content?.source,
      ]);
      expect(content?.picture).toEqual(other?.content?.picture);
      expect(content?.embedding).toEqual(other?.content?.embedding);
    }
    expect(byCommand.map(({ content }) => content?.picture?.mediaType)).toEqual(['image/jpeg', 'image/webp']);
  });

  it('takes a folder of folders as one change, which is reverted as one, and again changes nothing', async () => {
    const first = await taught('photos', '--index', 'folders', '--reason', 'new', '--who', 'Ada');
    expect(first).toMatchObject({ sequence: 3, operation: 1, operations: [1] });
    expect(first.outcomes.map((one) => ('label' in one ? [one.file, one.outcome, one.label] : one))).toEqual([
      ['photos/green/0.jpg', 'added', 'green'],
      ['photos/green/1.jpg', 'added', 'green'],
      ['photos/red/0.jpg', 'added', 'red'],
    ]);
    const log = await journalOf('folders');
    expect(log.map(({ change }) => [change.operation, change.reason, change.who])).toEqual(
      Array.from({ length: 3 }, () => [1, 'new', 'Ada']),
    );
    const again = await index('add', 'photos', '--index', 'folders');
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain('0 added, 3 there already\nNothing changed: sequence 3\n');
    expect((await index('revert', '2', '--index', 'folders')).stdout).toContain('Changed: sequence 6');
    const shown = await index('show', 'folders', '--json');
    expect(JSON.parse(shown.stdout)).toMatchObject({ examples: 0, sequence: 6 });
  });

  it('tells what is wrong with an image, adds the others, and fails where there are none', async () => {
    const mixed = await index('add', 'damaged.jpg', 'photos/red', '--label', 'rouge', '--index', 'many');
    expect(mixed).toMatchObject({ code: 0 });
    expect(mixed.stdout).toMatch(
      /^refused: damaged\.jpg: .* \[image_damaged\]\nadded [0-9a-f]{20} \(rouge\) photos\/red\/0\.jpg\n1 added, 1 left out\nnew label: rouge\nChanged: sequence 1; nearvote index revert 1 --index many takes it back\n$/,
    );
    const damaged = await index('add', 'damaged.jpg', '--label', 'blue', '--index', 'many');
    expect(damaged).toMatchObject({ code: 1, stdout: '' });
    expect(damaged.stderr).toMatch(/nearvote: damaged\.jpg: .* \[image_damaged\]\n$/);
    // One image is not two things.
    const conflict = await index('add', 'photos/red', 'damaged.jpg', '--label', 'blue', '--index', 'many');
    expect(conflict).toMatchObject({ code: 1 });
    expect(conflict.stderr).toMatch(
      /None of 2 images was added, the first: photos\/red\/0\.jpg: .* \[example_conflict\]/,
    );
  });

  it('refuses what it is told wrongly before it encodes anything', async () => {
    const cases = [
      [['photos/red/0.jpg'], 'usage', '--label'],
      [['photos/red/0.jpg', '--label', ' a'], 'label_invalid', 'white space'],
      [['photos/red/0.jpg', '--label', 'a', '--id', '../a'], 'id_invalid', 'letters'],
      [['photos/green', '--label', 'a', '--id', 'a'], 'usage', 'there are 2'],
      [['none.jpg', '--label', 'a'], 'image_missing', 'none.jpg'],
    ] as const;
    for (const [args, code, said] of cases) {
      const ran = await index('add', ...args, '--index', 'many');
      expect(ran.stderr).toContain(said);
      expect(ran.stderr).toContain(`[${code}]`);
      expect(ran.code).toBe(code === 'usage' ? 2 : 1);
    }
  });

  it('gives a single image the id it is told', async () => {
    const { outcomes } = await taught('large.png', '--label', 'big', '--id', 'mine', '--index', 'many');
    expect(outcomes).toMatchObject([{ outcome: 'added', id: 'mine', label: 'big', file: 'large.png' }]);
  });

  it('adds more images than it holds at once as one change', async () => {
    await index('create', 'crowd', '--encoder', 'models/cifar10-compact');
    const folder = join(base, 'crowd');
    await mkdir(folder);
    const count = 300;
    for (let i = 0; i < count; i++) {
      await writeFile(join(folder, `${i}.png`), await drawSpeckled(colours.red, i).png().toBuffer());
    }
    await cp(join(base, 'damaged.jpg'), join(folder, '7.jpg'));
    const { operations, outcomes, sequence } = await taught('crowd', '--label', 'red', '--index', 'crowd');
    expect({ operations, sequence }).toEqual({ operations: [1], sequence: count });
    expect(outcomes.filter(({ outcome }) => outcome === 'added')).toHaveLength(count);
    expect(new Set((await journalOf('crowd')).map(({ change }) => change.operation))).toEqual(new Set([1]));
    expect((await index('verify', 'crowd')).stdout).toContain('All is well');
    expect((await index('revert', '1', '--index', 'crowd')).stdout).toContain(`sequence ${2 * count}`);
  });
});
