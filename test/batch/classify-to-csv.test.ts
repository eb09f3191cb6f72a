import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Answering } from '../../src/batch/answers.js';
import type { ImageFile } from '../../src/image/dataset/walk-images.js';
import {
  classifyToCsv,
  type BatchResult,
  type ClassifyToCsvOptions,
} from '../../src/batch/classify-to-csv.js';
import { headerRow, rowOf } from '../../src/batch/csv-row.js';
import { answerByPath, decided } from './decided.js';

interface Place {
  readonly folder: string;
  readonly csv: string;
  readonly csvText: () => Promise<string>;
  readonly notes: string[];
  run(answering?: Answering, options?: Partial<ClassifyToCsvOptions>): Promise<BatchResult>;
}

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };

/** A folder of empty images, and a place for their CSV beside it. */
async function placeWith(names: readonly string[]): Promise<Place> {
  const base = await mkdtemp(join(tmpdir(), 'nearvote-csv-'));
  onTestFinished(() => rm(base, { recursive: true }));
  const [folder, csv] = [join(base, 'photos'), join(base, 'out.csv')];
  await mkdir(folder);
  for (const name of names) await writeFile(join(folder, name), '');
  const notes: string[] = [];
  return {
    folder,
    csv,
    notes,
    csvText: () => readFile(csv, 'utf8'),
    run: (answering = answerByPath(), options = {}) =>
      classifyToCsv(
        {
          ...{ paths: [folder], csv, overwrite: false },
          open: () => Promise.resolve(answering),
          note: (text) => void notes.push(text),
          ...options,
        },
        silent,
      ),
  };
}

const hard = ['1.jpg', 'a\r\n"b".jpg', 'broken.jpg', '\u{1f600},.jpg'];

describe('a CSV of a folder', () => {
  it('has a row for each file, in order, and says how many failed', async () => {
    const place = await placeWith(['2.jpg', '1.jpg', 'broken.jpg']);
    expect(await place.run()).toMatchObject({ rows: 3, added: 3, failed: 1, stopped: false });
    const path = (name: string): string => join(place.folder, name);
    const rows = ['1.jpg', '2.jpg'].map((name) => rowOf(decided(path(name), { label: `of ${path(name)}` })));
    const text = await place.csvText();
    expect(text.startsWith(`${headerRow}${rows.join('')}${path('broken.jpg')},,,,,,,"image_damaged: `)).toBe(
      true,
    );
  });

  it('has a row for a file once, however often it is named', async () => {
    const place = await placeWith(['1.jpg', '2.jpg']);
    const result = await place.run(undefined, {
      paths: [join(place.folder, '2.jpg'), place.folder, place.folder],
    });
    expect(result).toMatchObject({ rows: 2 });
    expect((await place.csvText()).match(/^.*\/2\.jpg,of/gm)).toHaveLength(1);
  });

  it('is the same as that of an undisturbed run wherever it was torn, and no file with a row is asked for again', async () => {
    const place = await placeWith(hard);
    await place.run();
    const whole = await readFile(place.csv);
    const ends = rowEnds(whole);
    for (let length = 0; length <= whole.length; length++) {
      await writeFile(place.csv, whole.subarray(0, length));
      const asked: string[] = [];
      await place.run(answerByPath({ onAnswer: ({ path }) => void asked.push(path) }));
      expect((await readFile(place.csv)).equals(whole), `torn after ${length} bytes`).toBe(true);
      // The header is a row too.
      const kept = Math.max(0, ends.filter((end) => end <= length).length - 1);
      expect(asked).toHaveLength(hard.length - kept);
    }
  });

  it('is gone on with where a crash left noughts at its end', async () => {
    const place = await placeWith(hard);
    await place.run();
    const whole = await readFile(place.csv);
    await writeFile(place.csv, Buffer.concat([whole.subarray(0, whole.length - 30), Buffer.alloc(4096)]));
    await place.run();
    expect((await readFile(place.csv)).equals(whole)).toBe(true);
  });

  it('takes in files that are new, after the rows that it has, and otherwise has nothing left to do', async () => {
    const place = await placeWith(['2.jpg', 'broken.jpg']);
    await place.run();
    const before = await place.csvText();
    expect(await place.run()).toMatchObject({ rows: 2, added: 0, failed: 1 });
    expect(await place.csvText()).toBe(before);
    await writeFile(join(place.folder, '1.jpg'), '');
    expect(await place.run()).toMatchObject({ rows: 3, added: 1, failed: 1 });
    const path = join(place.folder, '1.jpg');
    expect(await place.csvText()).toBe(before + rowOf(decided(path, { label: `of ${path}` })));
  });

  it('may lie in the folder itself under any name, and be reached by a link', async () => {
    const place = await placeWith(['1.jpg', '2.jpg']);
    const csv = join(place.folder, 'result');
    expect(await place.run(undefined, { csv })).toMatchObject({ rows: 2 });
    expect(await place.run(undefined, { csv })).toMatchObject({ rows: 2, added: 0 });
    const link = join(place.folder, '../link.csv');
    await symlink(csv, link);
    expect(await place.run(undefined, { csv: link })).toMatchObject({ rows: 2, added: 0 });
    expect((await readdir(place.folder)).sort()).toEqual(['1.jpg', '2.jpg', 'result', 'result.run']);
  });
});

describe('a CSV that is there already', () => {
  it('is gone on with only where its rows came about in the same way, and else the error says what differs', async () => {
    const place = await placeWith(['1.jpg']);
    await place.run();
    const before = await place.csvText();
    const other = answerByPath({ version: 'v2' });
    await expect(place.run(other)).rejects.toMatchObject({
      code: 'output_exists',
      message: expect.stringMatching(/version was v1 and is v2; --overwrite/) as string,
    });
    expect(await place.csvText()).toBe(before);
    expect(await place.run(other, { overwrite: true })).toMatchObject({ rows: 1, added: 1 });
    expect(await place.csvText()).toContain(',v2,');
    await expect(place.run()).rejects.toMatchObject({ code: 'output_exists' });
  });

  it('is left alone where it is something else, even without a line end', async () => {
    const others = [
      'name,age\r\nEve,3\r\n',
      'not a CSV',
      `${headerRow}a,b\r\n`,
      `${headerRow}"a"b,,,,,,,\r\n`,
    ];
    for (const text of others) {
      const place = await placeWith(['1.jpg']);
      await writeFile(place.csv, text);
      await expect(place.run(), text).rejects.toMatchObject({
        code: 'output_exists',
        message: expect.stringContaining('--overwrite') as string,
      });
      expect(await place.csvText()).toBe(text);
      expect(await readdir(join(place.csv, '..'))).toEqual(['out.csv', 'photos']);
    }
  });

  it('is left alone where nothing says how its rows came about', async () => {
    const place = await placeWith(['1.jpg', '2.jpg']);
    await place.run();
    await rm(`${place.csv}.run`, { recursive: true });
    await expect(place.run()).rejects.toMatchObject({ code: 'output_exists' });
    expect(await place.run(undefined, { overwrite: true })).toMatchObject({ rows: 2, added: 2 });
  });

  it('is begun anew from nothing where it is empty, or has no row yet, whatever was beside it', async () => {
    const place = await placeWith(['1.jpg']);
    await place.run(answerByPath({ version: 'v0' }));
    for (const text of ['', headerRow.slice(0, 9), headerRow]) {
      await writeFile(place.csv, text);
      expect(await place.run()).toMatchObject({ rows: 1, added: 1 });
      expect(await place.csvText()).toContain(',v1,');
    }
  });

  it('is refused to a second run while the first one writes', async () => {
    const place = await placeWith(['1.jpg', '2.jpg']);
    const first = await place.run(
      answerByPath({
        onAnswer: async ({ path }: ImageFile) => {
          if (!path.endsWith('2.jpg')) return;
          await expect(place.run()).rejects.toMatchObject({
            code: 'output_unwritable',
            message: expect.stringContaining(`process ${process.pid}`) as string,
          });
        },
      }),
    );
    expect(first).toMatchObject({ rows: 2 });
    expect(await place.run()).toMatchObject({ rows: 2, added: 0 });
  });
});

describe('a run', () => {
  it('that is told to stop keeps what is written, and the next one goes on', async () => {
    const names = Array.from({ length: 9 }, (_, i) => `${i}.jpg`);
    const place = await placeWith(names);
    const stop = new AbortController();
    const onAnswer = ({ path }: ImageFile): void => {
      if (path.endsWith('5.jpg')) stop.abort();
    };
    const stopped = await place.run(answerByPath({ onAnswer }), { signal: stop.signal });
    expect(stopped).toMatchObject({ stopped: true });
    expect(stopped.rows).toBeLessThan(9);
    expect(await place.run()).toMatchObject({ rows: 9, added: 9 - stopped.rows, stopped: false });
  });

  it('that fails in the middle keeps what is written, and the next one goes on', async () => {
    const place = await placeWith(['1.jpg', '2.jpg', '3.jpg']);
    const onAnswer = ({ path }: ImageFile): void => {
      if (path.endsWith('2.jpg')) throw new Error('the server is gone');
    };
    await expect(place.run(answerByPath({ onAnswer }))).rejects.toThrow('the server is gone');
    expect(await place.run()).toMatchObject({ rows: 3, added: 2 });
  });

  it('that cannot open what classifies leaves nothing behind', async () => {
    const place = await placeWith(['1.jpg']);
    const open = (): Promise<Answering> => Promise.reject(new Error('no index'));
    await expect(place.run(undefined, { open })).rejects.toThrow('no index');
    expect(await readdir(join(place.csv, '..'))).toEqual(['photos']);
  });

  it('whose index changes meanwhile says so, tells the rows apart, and can be gone on with', async () => {
    const place = await placeWith(['1.jpg', '2.jpg', '3.jpg']);
    const versions = ['v1', 'v2', 'v2'];
    const changing: Answering = {
      ...answerByPath(),
      answer: async function* (files) {
        for await (const { path } of files) {
          yield decided(path, { index: { name: 'i', version: versions.shift() ?? '', sequence: 0 } });
        }
      },
    };
    await place.run(changing);
    expect(place.notes.filter((note) => note.includes('v2'))).toHaveLength(1);
    expect(await place.csvText()).toMatch(/1\.jpg,[^]*,v1,\r\n[^]*2\.jpg,[^]*,v2,\r\n/);
    await writeFile(join(place.folder, '4.jpg'), '');
    await expect(place.run(answerByPath({ version: 'v1' }))).rejects.toMatchObject({ code: 'output_exists' });
    expect(await place.run(answerByPath({ version: 'v2' }))).toMatchObject({ rows: 4, added: 1 });
  });

  it('refuses what is no file to write rows to, and a folder that is not there', async () => {
    const place = await placeWith(['1.jpg']);
    for (const csv of [place.folder, '/dev/null', join(place.folder, 'no/out.csv')]) {
      await expect(place.run(undefined, { csv }), csv).rejects.toMatchObject({ code: 'output_unwritable' });
    }
    expect(await readdir(join(place.csv, '..'))).toEqual(['photos']);
    expect((await stat('/dev/null')).isFile()).toBe(false);
  });

  it('says that there is nothing to classify in an empty folder', async () => {
    const place = await placeWith([]);
    await expect(place.run()).rejects.toMatchObject({ code: 'image_missing' });
    expect(await readdir(join(place.csv, '..'))).toEqual(['photos']);
  });
});

/** Where each row ends, told by quotes. */
function rowEnds(csv: Buffer): number[] {
  const ends: number[] = [];
  let quotes = 0;
  for (const [at, byte] of csv.entries()) {
    if (byte === 0x22) quotes++;
    if (byte === 0x0a && quotes % 2 === 0) ends.push(at + 1);
  }
  return ends;
}
