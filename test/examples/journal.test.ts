import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openJournal, type Journal, type OperationDraft } from '../../src/examples/journal.js';
import type { ChangeDraft, ExampleContent } from '../../src/examples/journal-record.js';
import { loadSqlite } from '../../src/examples/sqlite.js';
import { onCircle, seededRandom } from '../neighbours/unit-vectors.js';
import { asNobody } from './as-nobody.js';

const isRoot = process.getuid?.() === 0;
const noon = new Date('2026-01-01T12:00:00.000Z');

let base = '';
let root = '';
let made = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-journal-'));
  await chmod(base, 0o755);
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = join(base, `pets-${made++}`);
  await mkdir(root);
});

const open = (options: Partial<Parameters<typeof openJournal>[0]> = {}): Promise<Journal> =>
  openJournal({ root, floor: 0, access: 'write', now: () => noon, ...options });

const reading = (options: Partial<Parameters<typeof openJournal>[0]> = {}): Promise<Journal> =>
  open({ access: 'read', ...options });

const content = (degrees: number, picture = false): ExampleContent => ({
  digest: 'ab'.repeat(32),
  source: `cats/${degrees}\n.png`,
  encoder: 'e0'.repeat(32),
  embedding: onCircle([degrees]).values,
  ...(picture ? { picture: { bytes: Uint8Array.of(1, 2, degrees), mediaType: 'image/png' } } : {}),
});

const add = (id: string, degrees: number, label = 'cat'): ChangeDraft => ({
  kind: 'add',
  id,
  label,
  was: null,
  content: content(degrees, true),
});

const relabel = (id: string, was: string, label: string): ChangeDraft => ({
  kind: 'relabel',
  id,
  label,
  was,
});

const one = (...changes: ChangeDraft[]): OperationDraft => ({ changes, reason: null, who: null });

/** Adds a cat and a dog, renames both, and deletes the dog: sequences 1 to 5 in four operations. */
function teach(journal: Journal): void {
  journal.append(one(add('a', 10)));
  journal.append({ ...one(add('b', 20, 'dog')), reason: 'shown', who: 'Ada' });
  journal.append(one(relabel('a', 'cat', 'Ärmel "kurz"'), relabel('b', 'dog', '猫🐈')));
  journal.append({
    ...one({ kind: 'delete', id: 'b', label: null, was: '猫🐈', content: content(20, true) }),
    reverts: 2,
  });
}

const rejection = async (work: () => unknown): Promise<{ code: string; message: string }> => {
  try {
    await work();
  } catch (error) {
    return error as { code: string; message: string };
  }
  return { code: 'none', message: '' };
};

describe('a journal', () => {
  it('gives back what was appended, in order, as it was', async () => {
    const journal = await open();
    teach(journal);
    expect(journal.head).toBe(5);
    const replayed = [...journal.replay(0)];
    expect(
      replayed.map(({ change }) => [change.sequence, change.operation, change.kind, change.id, change.label]),
    ).toEqual([
      [1, 1, 'add', 'a', 'cat'],
      [2, 2, 'add', 'b', 'dog'],
      [3, 3, 'relabel', 'a', 'Ärmel "kurz"'],
      [4, 3, 'relabel', 'b', '猫🐈'],
      [5, 5, 'delete', 'b', null],
    ]);
    const [, shown, , renamed, deleted] = replayed;
    expect(shown?.change).toMatchObject({
      at: noon.toISOString(),
      reason: 'shown',
      who: 'Ada',
      reverts: null,
      was: null,
    });
    expect(shown?.content).toEqual({
      digest: 'ab'.repeat(32),
      source: 'cats/20\n.png',
      encoder: 'e0'.repeat(32),
      embedding: onCircle([20]).values,
    });
    expect(renamed?.content).toBeUndefined();
    expect(deleted?.change).toMatchObject({ was: '猫🐈', reverts: 2 });
    expect(journal.content(5)).toEqual(content(20, true));
    expect(journal.content(3)).toBeUndefined();
    expect(journal.content(99)).toBeUndefined();
    expect([...journal.replay(3)].map(({ change }) => change.sequence)).toEqual([4, 5]);
    expect(journal.verify({ dimension: 2 })).toEqual({ changes: 5, defects: [] });
    journal.close();
  });

  it('is the same when it was closed and opened again, and goes on where it ended', async () => {
    using first = await open();
    teach(first);
    first.close();
    expect((await readFile(join(root, 'live.db'))).includes('Ada')).toBe(true);
    using journal = await open();
    expect(journal.head).toBe(5);
    expect(journal.append(one(relabel('a', 'x', 'y'))).map(({ sequence }) => sequence)).toEqual([6]);
    expect(journal.verify({ dimension: 2 })).toEqual({ changes: 6, defects: [] });
  });

  it('takes nothing that was planned before another process went on', async () => {
    using journal = await open();
    teach(journal);
    using late = await open();
    journal.append({ ...one(relabel('a', 'Ärmel "kurz"', 'cat')), after: 5 });
    expect(await rejection(() => late.append({ ...one(add('c', 30)), after: 5 }))).toMatchObject({
      code: 'index_readonly',
    });
    expect(late.append({ ...one(add('c', 30)), after: 6 })[0]?.sequence).toBe(7);
    expect(journal.verify({ dimension: 2 })).toEqual({ changes: 7, defects: [] });
  });

  it('lists changes newest first, by page and by example, and those that were made as one', async () => {
    using journal = await open();
    teach(journal);
    const sequences = (asked: Parameters<Journal['log']>[0]): number[] =>
      journal.log(asked).map(({ sequence }) => sequence);
    expect(sequences({ limit: 2 })).toEqual([5, 4]);
    expect(sequences({ limit: 2, before: 4 })).toEqual([3, 2]);
    expect(sequences({ limit: 9, after: 3 })).toEqual([5, 4]);
    expect(sequences({ limit: 9, id: 'b' })).toEqual([5, 4, 2]);
    expect(sequences({ limit: 9, id: 'b', before: 5, after: 2 })).toEqual([4]);
    expect(sequences({ limit: 9, id: "'; drop table changes --" })).toEqual([]);
    expect(journal.operation(4).map(({ sequence }) => sequence)).toEqual([3, 4]);
    expect(journal.operation(6)).toEqual([]);
  });

  it('keeps order by sequence while the clock runs backwards', async () => {
    let minute = 59;
    using journal = await open({ now: () => new Date(Date.UTC(2026, 0, 1, 12, minute--)) });
    for (let i = 0; i < 3; i++) journal.append(one(add(`${i}`, i)));
    expect([...journal.replay(0)].map(({ change }) => [change.id, change.at.slice(14, 16)])).toEqual([
      ['0', '59'],
      ['1', '58'],
      ['2', '57'],
    ]);
    expect(journal.log({ limit: 3 }).map(({ id }) => id)).toEqual(['2', '1', '0']);
    expect(journal.verify({ dimension: 2 }).defects).toEqual([]);
  });

  it('takes more changes at once, and gives them back, than it reads at a time', async () => {
    using journal = await open();
    journal.append(one(...Array.from({ length: 1000 }, (_, i) => add(`${i}`, i))));
    expect(journal.operation(1)).toHaveLength(1000);
    const replayed = [...journal.replay(0)];
    expect(replayed.map(({ change }) => change.id)).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
    expect(replayed[999]?.content?.embedding).toEqual(onCircle([999]).values);
  });

  it('takes nothing of what is empty, or has an embedding that is none', async () => {
    using journal = await open();
    expect(journal.append(one())).toEqual([]);
    const broken = { ...content(1), embedding: Float32Array.of(NaN, 1) };
    const bad = one(add('good', 1), { ...add('bad', 2), content: broken });
    expect(await rejection(() => journal.append(bad))).toMatchObject({ code: 'encoder_invalid' });
    expect(journal.head).toBe(0);
    expect([...journal.replay(0)]).toEqual([]);
  });

  it('keeps a text whole that SQLite would cut at NUL, or that is half a character', async () => {
    using journal = await open();
    journal.append({ ...one(add('a', 1)), reason: 'one\0two \ud83d three' });
    expect(journal.log({ limit: 1 })[0]?.reason).toBe('one\ufffdtwo \ufffd three');
    expect(journal.verify({ dimension: 2 }).defects).toEqual([]);
  });

  it('takes nothing once its file was removed or replaced, where nobody would find it again', async () => {
    using journal = await open();
    teach(journal);
    const path = join(root, 'live.db');
    await cp(path, `${path}.copy`);
    await rename(path, `${path}.away`);
    const refused = { code: 'output_unwritable', message: expect.stringContaining(path) as string };
    expect(await rejection(() => journal.append(one(add('c', 30))))).toMatchObject(refused);
    await rename(`${path}.copy`, path);
    expect(await rejection(() => journal.append(one(add('c', 30))))).toMatchObject(refused);
    await rename(`${path}.away`, path);
    expect(journal.append(one(add('c', 30)))[0]?.sequence).toBe(6);
  });

  it('begins after what its version holds', async () => {
    using journal = await open({ floor: 40 });
    expect(journal.head).toBe(40);
    expect(journal.append(one(add('a', 1)))[0]?.sequence).toBe(41);
    expect([...journal.replay(40)]).toHaveLength(1);
    expect(journal.verify({ dimension: 2 })).toEqual({ changes: 1, defects: [] });
    expect(await rejection(() => [...journal.replay(39)])).toMatchObject({ code: 'index_invalid' });
  });

  it.each([39, 42])(
    'is refused by a version that holds the changes up to %d where it goes from 41 to 41',
    async (floor) => {
      using journal = await open({ floor: 40 });
      journal.append(one(add('a', 1)));
      expect(await rejection(() => open({ floor }))).toMatchObject({
        code: 'index_invalid',
        message: expect.stringContaining('from 41 to 41') as string,
      });
      expect(await rejection(() => reading({ floor }))).toMatchObject({ code: 'index_invalid' });
      using same = await open({ floor: 41 });
      expect(same.head).toBe(41);
    },
  );

  it('of a newer nearvote is refused', async () => {
    (await open()).close();
    const sqlite = (await loadSqlite())({ path: join(root, 'live.db'), access: 'write', busyMs: 1000 });
    sqlite.run("update meta set value = '2' where key = 'schemaVersion'");
    sqlite.close();
    const refused = {
      code: 'index_invalid',
      message: expect.stringContaining('schema 1 but it has 2') as string,
    };
    expect(await rejection(() => open())).toMatchObject(refused);
    expect(await rejection(() => reading())).toMatchObject(refused);
  });
});

describe('a journal that is only read', () => {
  it('is empty where there is none, and makes no file', async () => {
    using journal = await reading({ floor: 7 });
    expect(journal.head).toBe(7);
    expect([...journal.replay(7)]).toEqual([]);
    expect([journal.log({ limit: 9 }), journal.operation(1), journal.content(1)]).toEqual([
      [],
      [],
      undefined,
    ]);
    expect(journal.verify({ dimension: 2 })).toEqual({ changes: 0, defects: [] });
    expect(await readdir(root)).toEqual([]);
    expect(await rejection(() => journal.append(one(add('a', 1))))).toMatchObject({ code: 'internal' });
  });

  it('sees what is appended after it was opened, from the first file on', async () => {
    using journal = await reading();
    using writer = await open();
    expect(journal.head).toBe(0);
    teach(writer);
    expect(journal.head).toBe(5);
    expect([...journal.replay(0)]).toHaveLength(5);
    writer.append(one(add('c', 30)));
    expect([...journal.replay(5)].map(({ change }) => change.id)).toEqual(['c']);
  });

  it('reads while another process is in the middle of writing', async () => {
    using writer = await open();
    teach(writer);
    const other = (await loadSqlite())({ path: join(root, 'live.db'), access: 'write', busyMs: 1000 });
    using journal = await reading();
    const undone = await rejection(() =>
      other.transaction(() => {
        other.run("update changes set label = 'wrong'");
        expect([...journal.replay(0)]).toHaveLength(5);
        throw new Error('undone');
      }),
    );
    expect(undone).toMatchObject({ message: 'undone' });
    other.close();
    expect(journal.verify({ dimension: 2 })).toEqual({ changes: 5, defects: [] });
  });

  it.skipIf(!isRoot)('opens where it may write nothing, and sees what is appended then too', async () => {
    const writer = await open();
    teach(writer);
    writer.close();
    const alone = join(base, `alone-${made}`);
    await mkdir(alone);
    await cp(join(root, 'live.db'), join(alone, 'live.db'));
    await chmod(join(alone, 'live.db'), 0o644);
    await asNobody(async () => {
      using journal = await reading({ root: alone });
      expect([...journal.replay(0)]).toHaveLength(5);
      expect(journal.verify({ dimension: 2 })).toEqual({ changes: 5, defects: [] });
      expect(await readdir(alone)).toEqual(['live.db']);
      expect(await rejection(() => open({ root: alone }))).toMatchObject({ code: 'output_unwritable' });
      process.seteuid?.(0);
      using other = await open({ root: alone });
      other.append(one(add('c', 30)));
      process.seteuid?.(65_534);
      expect(journal.head).toBe(6);
      expect([...journal.replay(5)].map(({ change }) => change.id)).toEqual(['c']);
    });
  });

  it('goes over to another file that took the place of its own', async () => {
    using writer = await open();
    teach(writer);
    using journal = await reading();
    expect(journal.head).toBe(5);
    const from = root;
    root = join(base, `pets-${made++}`);
    await mkdir(root);
    const second = await open();
    second.append(one(add('other', 3)));
    second.close();
    for (const file of await readdir(from)) await rm(join(from, file));
    await cp(join(root, 'live.db'), join(from, 'live.db'));
    expect(journal.log({ limit: 9 }).map(({ id }) => id)).toEqual(['other']);
  });
});

describe('a file that is no journal', () => {
  it.each(['read', 'write'] as const)(
    'is refused without waiting: a folder, a FIFO, a text, to %s',
    async (access) => {
      const path = join(root, 'live.db');
      const refused = { code: 'index_invalid', message: expect.stringContaining(path) as string };
      await mkdir(path);
      expect(await rejection(() => open({ access }))).toMatchObject(refused);
      await rm(path, { recursive: true });
      execFileSync('mkfifo', [path]);
      expect(await rejection(() => open({ access }))).toMatchObject(refused);
      await rm(path);
      await writeFile(path, 'This is not a database. '.repeat(500));
      expect(await rejection(() => open({ access }))).toMatchObject(refused);
      expect(await readFile(path, 'utf8')).toMatch(/^This is not/);
    },
  );

  it('is taken for a new one where a process was killed before it wrote anything', async () => {
    await writeFile(join(root, 'live.db'), '');
    using journal = await reading();
    expect(journal.head).toBe(0);
    using writer = await open();
    writer.append(one(add('a', 1)));
    expect(journal.head).toBe(1);
  });

  it('is refused where its folder is missing', async () => {
    expect(await rejection(() => open({ root: join(root, 'none') }))).toMatchObject({
      code: 'output_unwritable',
    });
  });
});

describe('a journal with a damage', () => {
  const damage = async (sql: string): Promise<Journal> => {
    const writer = await open();
    teach(writer);
    writer.close();
    const sqlite = (await loadSqlite())({ path: join(root, 'live.db'), access: 'write', busyMs: 1000 });
    sqlite.run('pragma foreign_keys = off');
    sqlite.run(sql);
    sqlite.close();
    return reading();
  };

  it.each([
    ["update changes set label = 'dog' where sequence = 1", 'change 1'],
    ["update changes set at = '2020' where sequence = 3", 'change 3'],
    ['update changes set reverts = 1 where sequence = 5', 'change 5'],
    ["update contents set source = 'x' where key = 2", 'change 2'],
    ["update contents set embedding = x'0000803f00000000' where key = 1", 'change 1'],
    ['delete from changes where sequence = 2', 'change 2'],
    ['delete from changes where sequence = 5', 'change 5'],
    ['delete from changes', 'change 1'],
    ['delete from contents where key = 1', 'change 1'],
    ["update changes set kind = 'shout' where sequence = 4", 'change 4'],
    ['update meta set value = \'{"sequence":4,"checksum":"x"}\' where key = \'head\'', 'change 4'],
  ])('is not read past it, and its change is named: %s', async (sql, named) => {
    using journal = await damage(sql);
    const refused = { code: 'index_invalid', message: expect.stringContaining(named) as string };
    expect(await rejection(() => [...journal.replay(0)])).toMatchObject(refused);
    expect(journal.verify({ dimension: 2 }).defects.join('\n')).toContain(named);
  });

  it('in a picture is found by whoever asks for that, and by verify', async () => {
    using journal = await damage("update contents set picture = x'010203' where key = 2");
    expect([...journal.replay(0)]).toHaveLength(5);
    expect(journal.content(1)).toEqual(content(10, true));
    expect(await rejection(() => journal.content(2))).toMatchObject({ code: 'index_invalid' });
    const { defects } = journal.verify({ dimension: 2 });
    expect(defects).toEqual([expect.stringContaining('change 2')]);
  });

  it.each(['drop table meta', 'alter table changes rename to chances'])(
    'in its tables is no empty journal: %s',
    async (sql) => {
      const refused = { code: 'index_invalid', message: expect.stringContaining('live.db') as string };
      expect(await rejection(() => damage(sql))).toMatchObject(refused);
      expect(await rejection(() => open())).toMatchObject(refused);
    },
  );

  it('in the case of a name changes nothing', async () => {
    using journal = await damage('alter table contents rename column picture to pIcture');
    expect(journal.content(2)).toEqual(content(20, true));
  });

  it('names each change that is wrong, and an embedding of another dimension', async () => {
    using journal = await damage("update changes set who = 'Eve' where sequence in (1, 4)");
    const { defects } = journal.verify({ dimension: 2 });
    expect(defects.map((defect) => /change \d/.exec(defect)?.[0])).toEqual(['change 1', 'change 4']);
    expect(journal.verify({ dimension: 3 }).defects.join()).toContain('has 2 values where the index has 3');
  });

  it('of one flipped byte in what a killed process left beside it loses no change', async () => {
    const writer = await open();
    teach(writer);
    const from = root;
    const [main, beside] = await Promise.all(
      ['live.db', 'live.db-wal'].map((file) => readFile(join(from, file))),
    );
    writer.close();
    if (main === undefined || beside === undefined || beside.length === 0)
      throw new Error('Expected a live.db-wal');
    const random = seededRandom(6);
    for (let i = 0; i < 60; i++) {
      root = join(base, `pets-${made++}`);
      await mkdir(root);
      const at = Math.floor(random() * beside.length);
      const flipped = Buffer.from(beside);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      await writeFile(join(root, 'live.db'), main);
      await writeFile(join(root, 'live.db-wal'), flipped);
      using journal = await open();
      expect([journal.head, at]).toEqual([5, at]);
      expect(journal.verify({ dimension: 2 })).toEqual({ changes: 5, defects: [] });
    }
  });

  it('of one flipped byte anywhere says nothing else than it was told', async () => {
    const writer = await open();
    teach(writer);
    const told = JSON.stringify([[...writer.replay(0)], writer.log({ limit: 9 }), writer.content(2)]);
    writer.close();
    const path = join(root, 'live.db');
    const whole = await readFile(path);
    const random = seededRandom(15);
    // Where something is written: most of a small database is empty.
    const written = [...whole.keys()].filter((at) => whole[at] !== 0);
    let found = 0;
    for (let i = 0; i < 80; i++) {
      const at = written[Math.floor(random() * written.length)] ?? 0;
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      for (const file of await readdir(root)) await rm(join(root, file), { force: true });
      await writeFile(path, flipped);
      const { code } = await rejection(async () => {
        using journal = await reading();
        const { defects } = journal.verify({ dimension: 2 });
        if (defects.length > 0) throw Object.assign(new Error(defects.join('\n')), { code: 'index_invalid' });
        expect(JSON.stringify([[...journal.replay(0)], journal.log({ limit: 9 }), journal.content(2)])).toBe(
          told,
        );
      });
      expect([at, ['none', 'index_invalid'].includes(code) ? '' : code]).toEqual([at, '']);
      if (code === 'index_invalid') found++;
    }
    expect(found).toBeGreaterThan(40);
  });
});

describe('a journal that cannot be written', () => {
  it('refuses while another process is writing, and takes the change afterwards', async () => {
    const openSqlite = await loadSqlite();
    using journal = await open();
    teach(journal);
    const path = join(root, 'live.db');
    const other = openSqlite({ path, access: 'write', busyMs: 20 });
    const third = openSqlite({ path, access: 'write', busyMs: 20 });
    const refusal = await rejection(() => other.transaction(() => third.transaction(() => 1)));
    expect(refusal).toMatchObject({
      code: 'output_unwritable',
      message: expect.stringContaining('another process is writing it') as string,
    });
    expect(journal.append(one(add('c', 1)))[0]?.sequence).toBe(6);
    other.close();
    third.close();
  });

  it.skipIf(!isRoot)(
    'for a full disk keeps none of an operation, and takes the next when there is room',
    async (context) => {
      const mounted = join(root, 'small');
      await mkdir(mounted);
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mounted], { stdio: 'pipe' });
      } catch {
        context.skip('nothing can be mounted here');
      }
      try {
        const journal = await open({ root: mounted });
        journal.append(one(add('a', 1)));
        fill(join(mounted, 'ballast'));
        const big = Array.from({ length: 20 }, (_, i) => ({
          ...add(`${i}`, i),
          content: {
            ...content(i),
            picture: { bytes: new Uint8Array(20_000).fill(i), mediaType: 'image/png' },
          },
        }));
        expect(await rejection(() => journal.append(one(...big)))).toMatchObject({
          code: 'output_unwritable',
        });
        expect(journal.head).toBe(1);
        expect(journal.verify({ dimension: 2 })).toEqual({ changes: 1, defects: [] });
        await rm(join(mounted, 'ballast'));
        expect(journal.append(one(...big.slice(0, 3))).at(-1)?.sequence).toBe(4);
        journal.close();
        using again = await open({ root: mounted });
        expect(again.verify({ dimension: 2 })).toEqual({ changes: 4, defects: [] });
      } finally {
        execFileSync('umount', ['-l', mounted]);
      }
    },
  );
});

/** Writes until no room is left. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, new Uint8Array(4096));
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(file);
  }
}
