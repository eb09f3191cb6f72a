import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nearvoteHere } from './in-process.js';
import { colours, drawSpeckled, type Ran } from './nearvote.js';
import { spawnServed, type Served } from './served.js';

const adminKey = 'a-key-of-the-admin-alone';
let base = '';

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-index-server-'));
  for (const name of ['first', 'served', 'here']) {
    await index({}, 'create', name, '--encoder', 'models/cifar10-compact');
  }
  for (const [label, colour] of Object.entries(colours)) {
    await mkdir(join(base, 'photos', label), { recursive: true });
    for (const i of [0, 1]) {
      await writeFile(
        join(base, `photos/${label}/${i}.jpg`),
        await drawSpeckled(colour, i).jpeg().toBuffer(),
      );
    }
  }
  await writeFile(join(base, 'damaged.jpg'), 'no image');
});
afterAll(() => rm(base, { recursive: true }));

const serve = (): Promise<Served> =>
  spawnServed(
    { index: '', models: '', red: Buffer.alloc(0) },
    {
      cwd: base,
      env: { NEARVOTE_ADMIN_KEY: adminKey },
      fixed: [
        ...['--index', 'first=index/first', '--index', 'served=index/served'],
        ...['--port', '0', '--workers', '1', '--log-level', 'warn'],
      ],
    },
  );

const index = (env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Ran> =>
  nearvoteHere(base, ['index', ...args], env);

/** What differs from run to run. */
const settled = (text: string): string =>
  text
    .replaceAll(/ --server \S+/g, '')
    .replaceAll(/"at":"[^"]*"/g, '"at":""')
    // Which a server shows with --expose-sources alone.
    .replaceAll(/,"source":"[^"]*"/g, '')
    .replaceAll(/\b(served|here)\b/g, 'INDEX');

describe('nearvote index --server', () => {
  it('does and says what the same commands do and say on an index that nobody serves', async () => {
    const { url } = await serve();
    const there = (...args: string[]): Promise<Ran> =>
      index({ NEARVOTE_ADMIN_KEY: adminKey }, ...args, '--server', url, '--index', 'served');
    const here = (...args: string[]): Promise<Ran> => index({}, ...args, '--index', 'here');
    const added = JSON.parse((await here('add', 'photos', '--reason', 'new', '--json')).stdout) as {
      outcomes: { id: string }[];
    };
    const [first, second] = added.outcomes.map(({ id }) => id);
    if (first === undefined || second === undefined) throw new Error('Expected examples');
    const both: [string[], number][] = [
      [['relabel', first, 'navy', '--who', 'Ada'], 0],
      [['relabel', 'nobody', 'navy'], 1],
      [['rename', 'red', 'crimson', '--json'], 0],
      [['rename', 'red', 'crimson'], 1],
      [['delete', first, second], 0],
      [['revert', '11', '--json'], 0],
      [['revert', '11'], 1],
      [['revert', '999'], 1],
      [['rollback', '6'], 0],
      [['add', 'photos/green', 'damaged.jpg', '--label', 'green'], 0],
      [['add', 'damaged.jpg', '--label', 'green'], 1],
      [['log', '--json', '--limit', '100'], 0],
      [['log', '--id', first], 0],
    ];
    expect(JSON.parse((await there('add', 'photos', '--reason', 'new', '--json')).stdout)).toEqual(added);
    for (const [args, code] of both) {
      const [one, other] = [await here(...args), await there(...args)];
      expect([one.code, other.code], other.stderr).toEqual([code, code]);
      if (args[0] === 'log' && !args.includes('--json')) {
        expect(other.stdout.split('\n').length).toBe(one.stdout.split('\n').length);
      } else expect(settled(other.stdout), args.join(' ')).toBe(settled(one.stdout));
      const codeOf = ({ stderr }: Ran): string | undefined => /\[(\w+)\]\n$/.exec(stderr)?.[1];
      expect(codeOf(other)).toBe(codeOf(one));
    }
    const shown = async (ask: typeof here): Promise<object> => {
      const { sequence, changesSince, examples, labels, dimension, search, dataset, versions } = JSON.parse(
        (await ask('show', '--json')).stdout,
      ) as Record<string, unknown> & { labels: { label: string }[]; versions: { sequence: number }[] };
      const held = labels.toSorted((x, y) => (x.label < y.label ? -1 : 1));
      const kept = versions.map((one) => one.sequence);
      return { sequence, changesSince, examples, held, dimension, search, dataset, kept };
    };
    expect(await shown(there)).toEqual(await shown(here));
    expect((await there('compact')).stdout).toMatch(
      /^Published served .*: 6 examples, all changes up to \d+\n$/,
    );
    expect((await there('compact', '--keep', '1')).stderr).toContain('[usage]');
    expect((await there('show')).stdout).toContain('6 examples of 3 labels');
    const [diff, own] = [await there('diff', '0', '6'), await here('diff', '0', '6')];
    expect(diff.stdout.split('\n').slice(1, 6)).toEqual(own.stdout.split('\n').slice(1, 6));
    expect(diff.stdout).toMatch(/^From \S+@0 to \S+@6: 6 examples added, 0 deleted, 0 relabelled\n/);
    expect((await there('diff', '0', '6', '--limit', '2')).stdout).toContain('and 4 more;');
    expect((await there('diff', '0', 'none')).stderr).toContain('[query_invalid]');
    expect((await there('verify')).stdout).toMatch(/^All is well: 2 versions and \d+ changes were looked at/);
    const taken = await there('relabel', first, 'teal');
    expect(taken.stdout).toMatch(
      new RegExp(`; nearvote index revert (\\d+) --server ${url}/? --index served takes it back\\n$`),
    );
    // The server's other index is as it was.
    const other = await index({ NEARVOTE_ADMIN_KEY: adminKey }, 'show', '--server', url, '--json');
    expect(JSON.parse(other.stdout)).toMatchObject({ name: 'first', sequence: 0 });
  });

  it('lists the indexes of a server, and carries one from there to here and back', async () => {
    const { url } = await serve();
    const there = (...args: string[]): Promise<Ran> =>
      index({ NEARVOTE_ADMIN_KEY: adminKey }, ...args, '--server', url);
    const listed = JSON.parse((await there('list', '--json')).stdout) as { name: string; version: string }[];
    expect(listed.map(({ name }) => name)).toEqual(['first', 'served']);
    expect((await there('list', 'index')).stderr).toContain('[usage]');
    await there('add', 'photos', '--index', 'first');
    const exported = await there('export', 'first', '--out', 'carried');
    const [path = ''] = exported.stdout.split('\n');
    expect(path).toMatch(/^carried\/first-[0-9a-f]{64}\.tar$/);
    expect((await index({}, 'import', path, 'copy')).stdout).toMatch(/^Published copy \S+: 6 examples\n$/);
    const imported = await there('import', path, '--index', 'served', '--replace');
    expect(imported.stdout, imported.stderr).toMatch(
      /^Published served \S+: 6 examples; before it was \S+\n$/,
    );
    expect((await there('import', path, 'served')).stdout).toMatch(
      /^The server already has served \S+ as in this bundle: 6 examples; nothing was published\n$/,
    );
    expect((await there('show', 'served')).stdout).toContain('6 examples of 3 labels');
    expect((await there('import', path, 'served', '--keep', '1')).stderr).toContain('[usage]');
    expect((await there('import', 'none.tar', 'served')).stderr).toContain('[bundle_invalid]');
    await writeFile(join(base, 'no.tar'), 'no bundle');
    expect((await there('import', 'no.tar', 'served')).stderr).toContain('[bundle_invalid]');
  });

  it('is named where a server holds the index, and needs the admin key of a server', async () => {
    const { url } = await serve();
    const held = await index({}, 'rename', 'red', 'blue', '--index', 'served');
    expect(held).toMatchObject({ code: 1 });
    expect(held.stderr).toMatch(/where that is a server, --server URL asks it instead.*\[index_readonly\]/);
    const keyless = await index({}, 'log', '--server', url);
    expect(keyless.stderr).toContain('in NEARVOTE_ADMIN_KEY but none is set [unauthorized]');
    const wrong = await index({ NEARVOTE_API_KEY: 'one-of-another-kind' }, 'log', '--server', url);
    expect(wrong.stderr).toContain('the key in NEARVOTE_API_KEY is not its admin key [unauthorized]');
    const unknown = await index({ NEARVOTE_API_KEY: adminKey }, 'log', 'nope', '--server', url);
    expect(unknown.stderr).toMatch(/Expected one of the indexes first, served.*\[index_unknown\]/);
    // What is only made here is not asked of a server.
    expect((await index({}, 'create', 'more', '--encoder', 'x', '--server', url)).code).toBe(2);
  });
});
