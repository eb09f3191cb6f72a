import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { compactIndex } from '../../src/build/compact.js';
import { changeIndex } from '../../src/curate/change-index.js';
import { describeIndex } from '../../src/curate/describe-index.js';
import { exportIndex } from '../../src/curate/export-index.js';
import { importIndex, type ImportedIndex, type ImportOptions } from '../../src/curate/import-index.js';
import { verifyIndex } from '../../src/curate/verify-index.js';
import { writeBundle, type BundledFile } from '../../src/examples/bundle.js';
import { contentDigest, readPublished } from '../../src/examples/index-store.js';
import { manifestText } from '../../src/examples/publish.js';
import { writeCalibration } from '../../src/examples/calibration-file.js';
import { lockWriter } from '../../src/examples/writer.js';
import { digestBytes } from '../../src/files/digest.js';
import { aCalibration } from '../examples/a-calibration.js';
import { editManifest, encoderIdentity, publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { teachSmallIndex } from './taught-index.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-bundle-'));
afterAll(() => rm(base, { recursive: true }));

let here = '';
let root = '';
let made = 0;
const examples = ['c0', 'c1', 'd0'].map((id) => ({
  ...{ id, source: `${id}.png` },
  label: id.startsWith('c') ? 'cat' : 'dog',
}));
beforeEach(async () => {
  here = join(base, String(made++));
  root = join(here, 'index', 'pets');
  await publishSmallIndex({ root, embeddings: onCircle([0, 10, 90]), examples });
});

const bundle = async (): Promise<string> => (await exportIndex({ root, out: here })).path;
const into = (file: string, asked: Partial<ImportOptions> = {}): Promise<ImportedIndex> =>
  importIndex({
    ...{ file, root: (name: string) => join(here, 'there', name), models: join(here, 'models') },
    ...{ replace: false, keep: 3 },
    ...asked,
  });
const nothingThere = async (): Promise<void> => {
  expect(await readdir(join(here, 'there')).catch(() => [])).toEqual([]);
};
const quiet = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const compact = (keep = 3): Promise<unknown> =>
  compactIndex({ root, keep, threads: 1, progress: quiet, now: () => new Date() });

describe('a bundle', () => {
  it('becomes the index it was made of, byte for byte, with its graph and calibration', async () => {
    const { version, manifest } = await readPublished(root);
    const digest = contentDigest(manifest);
    await writeCalibration(root, aCalibration({ index: { name: 'pets', version, digest } }));
    const file = await bundle();
    const imported = await into(file);
    expect(imported).toMatchObject({ name: 'pets', version, examples: 3, sequence: 0, wasExpected: true });
    for (const name of await readdir(join(root, version))) {
      const [was, is] = await Promise.all(
        [root, imported.root].map((one) => readFile(join(one, version, name))),
      );
      expect(is, name).toEqual(was);
    }
    for (const name of ['calibration.json', 'current'])
      expect(await readFile(join(imported.root, name))).toEqual(await readFile(join(root, name)));
    expect(await verifyIndex({ root: imported.root })).toMatchObject({
      versions: 1,
      defects: [],
      repaired: [],
    });
    expect((await readdir(imported.root)).filter((name) => name.startsWith('.'))).toEqual(['.leases']);
  });

  it('is the same of the same version, wherever that is, and is called by its sha256', async () => {
    const first = await exportIndex({ root, out: here });
    const content = await readFile(first.path);
    expect(first.sha256).toBe(createHash('sha256').update(content).digest('hex'));
    expect(first.path).toBe(join(here, `pets-${first.sha256}.tar`));
    await editManifest(join(root, first.version), (manifest) => {
      manifest['encoder'] = { ...(manifest['encoder'] as object), path: '../elsewhere' };
    });
    expect((await exportIndex({ root, out: join(here, 'again') })).sha256).toBe(first.sha256);
    const { root: copy } = await into(first.path);
    expect((await exportIndex({ root: copy, out: join(here, 'copy') })).sha256).toBe(first.sha256);
  });

  it('holds what was folded in, and an index of it goes on from there', async () => {
    await rm(root, { recursive: true });
    await teachSmallIndex(root);
    await compact();
    const imported = await into(await bundle());
    expect(imported).toMatchObject({ examples: 4, sequence: 4 });
    const changed = await changeIndex({
      ...{ root: imported.root, now: () => new Date() },
      request: { kind: 'edit', acts: [{ kind: 'delete', id: 'c0' }], reason: null, who: null },
    });
    expect(changed).toMatchObject({ sequence: 5 });
  });

  it('is whole of each version that is served while others are made and removed', async () => {
    const going = new AbortController();
    const changing = (async () => {
      for (let i = 0; !going.signal.aborted; i++) {
        const label = i % 2 === 0 ? 'lynx' : 'cat';
        const acts = [{ kind: 'relabel', id: 'c1', label }] as const;
        await changeIndex({
          ...{ root, now: () => new Date() },
          request: { kind: 'edit', acts, reason: null, who: null },
        });
        await compact(0);
      }
    })();
    for (let i = 0; i < 8; i++) {
      const { path } = await exportIndex({ root, out: here });
      await into(path, { root: () => join(here, 'there', String(i)) });
    }
    going.abort();
    await changing;
    for (const name of await readdir(join(here, 'there')))
      expect((await verifyIndex({ root: join(here, 'there', name) })).defects).toEqual([]);
  });

  it('that cannot be made leaves nothing', async () => {
    const { dir } = await readPublished(root);
    await writeFile(join(dir, 'embeddings.f32'), Buffer.alloc(24));
    await expect(bundle()).rejects.toMatchObject({ code: 'index_invalid' });
    expect(await readdir(here)).toEqual(['index']);
    await expect(exportIndex({ root: join(here, 'none'), out: here })).rejects.toMatchObject({
      code: 'index_missing',
    });
  });
});

describe('an import', () => {
  it('refuses a bundle with any bit flipped, and leaves nothing', async () => {
    // A name that tells no digest: what is inside has to tell.
    const file = join(here, 'renamed.tar');
    const content = await readFile(await bundle());
    const places = Array.from({ length: 150 }, (_, i) => Math.floor((i * content.length) / 150) + (i % 7));
    for (const place of places) {
      const flipped = Buffer.from(content);
      flipped.writeUInt8(flipped.readUInt8(place) ^ (1 << (place % 8)), place);
      await writeFile(file, flipped);
      await expect(into(file), `byte ${place}`).rejects.toMatchObject({ code: 'bundle_invalid' });
    }
    await nothingThere();
    await writeFile(file, content);
    expect(await into(file)).toMatchObject({ wasExpected: false });
  });

  it('refuses one that was cut short, has more at its end, or hashes to something else', async () => {
    const path = await bundle();
    const content = await readFile(path);
    const file = join(here, 'cut.tar');
    for (const length of [0, 1, 511, 512, 700, 4096, content.length - 1024, content.length - 1]) {
      await writeFile(file, content.subarray(0, length));
      await expect(into(file), String(length)).rejects.toMatchObject({ code: 'bundle_invalid' });
    }
    await writeFile(file, Buffer.concat([content, Buffer.alloc(512)]));
    await expect(into(file)).rejects.toThrow('something was added to it');
    await expect(into(path, { sha256: 'a'.repeat(64) })).rejects.toThrow(/its sha256 is .* and not aaaa/);
    const misnamed = join(here, `pets-${'b'.repeat(64)}.tar`);
    await cp(path, misnamed);
    await expect(into(misnamed)).rejects.toThrow(/and not bbbb/);
    await expect(into(join(here, 'none.tar'))).rejects.toMatchObject({ code: 'bundle_invalid' });
    await expect(into(here)).rejects.toMatchObject({ code: 'bundle_invalid' });
    await nothingThere();
  });

  it('refuses other archives: names that lead elsewhere, links, compressed ones', async () => {
    const file = join(here, 'other.tar');
    await writeFile(join(here, 'bundle.json'), '{}');
    await symlink('/etc/passwd', join(here, 'link'));
    await create({ file, cwd: here, portable: true }, ['bundle.json', 'link', 'index']);
    await expect(into(file)).rejects.toMatchObject({ code: 'bundle_invalid' });
    await create({ file, cwd: join(here, 'index'), preservePaths: true }, ['../bundle.json']);
    await expect(into(file)).rejects.toMatchObject({ code: 'bundle_invalid' });
    await writeFile(file, gzipSync(await readFile(await bundle())));
    await expect(into(file)).rejects.toThrow('decompress it first');
    await nothingThere();
  });

  it('refuses what was made to do harm, though every hash in it is right', async () => {
    const { version, dir, manifest } = await readPublished(root);
    const file = join(here, 'forged.tar');
    const of = (path: string, bytes: Buffer): BundledFile => ({
      ...{ path, ...digestBytes(bytes) },
      // eslint-disable-next-line @typescript-eslint/require-await
      content: async function* () {
        yield bytes;
      },
    });
    const rows = async (
      edit: (files: Map<string, Buffer>) => void,
      told = manifest,
    ): Promise<BundledFile[]> => {
      const files = new Map<string, Buffer>([['index/manifest.json', Buffer.from(manifestText(told))]]);
      for (const name of ['examples.jsonl', 'rejects.jsonl', 'embeddings.f32', 'vectors.hnsw'])
        files.set(`index/${name}`, await readFile(join(dir, name)));
      edit(files);
      return [...files].map(([path, bytes]) => of(path, bytes));
    };
    const forge = async (files: readonly BundledFile[], name = 'pets'): Promise<void> => {
      const handle = await open(file, 'w');
      await writeBundle(handle, { schemaVersion: 1, name, version, files }).finally(() => handle.close());
    };
    const refused = async (message: string | RegExp): Promise<void> => {
      await expect(into(file)).rejects.toMatchObject({
        code: 'bundle_invalid',
        message: (typeof message === 'string'
          ? expect.stringContaining(message)
          : expect.stringMatching(message)) as string,
      });
      await nothingThere();
    };

    const whole = await rows(() => undefined);
    for (const name of ['../evil', '..', '.', 'a/b', 'a\\b', ''])
      await expect(forge(whole, name), name).rejects.toMatchObject({ code: 'index_invalid' });
    for (const path of [
      '../x',
      '/etc/x',
      'index/../x',
      'index/x',
      'encoder/../x',
      `encoder/${'x'.repeat(200)}`,
    ])
      await expect(forge([...whole, of(path, Buffer.from('x'))]), path).rejects.toMatchObject({
        code: 'index_invalid',
      });
    await expect(forge([...whole, ...whole.slice(1, 2)])).rejects.toThrow('Expected each once');

    const zeros = Buffer.alloc(24);
    const claims = { ...manifest, files: { ...manifest.files, 'embeddings.f32': digestBytes(zeros) } };
    await forge(await rows((files) => files.set('index/embeddings.f32', zeros), claims));
    await refused('unit length but row 0 has length 0');
    await forge(await rows((files) => files.set('index/rejects.jsonl', Buffer.from('x'))));
    await refused('rejects.jsonl to hold 0 bytes');
    const twice = Buffer.from((await readFile(join(dir, 'examples.jsonl'), 'utf8')).replace('c1"', 'c0"'));
    const double = { ...manifest, files: { ...manifest.files, 'examples.jsonl': digestBytes(twice) } };
    await forge(await rows((files) => files.set('index/examples.jsonl', twice), double));
    await refused('every id once');
    await forge(await rows((files) => files.set('index/manifest.json', Buffer.from('{}'))));
    await refused('its manifest is none');
    await forge(await rows((files) => files.set('encoder/encoder.json', Buffer.from('{}'))));
    await refused('its encoder is not the one of its index');
    expect(await readdir(join(here, 'models'))).toEqual([]);
    expect(encoderIdentity.name).toBe(manifest.encoder.name);
  });

  it('overwrites no index unless it is told to, and then publishes the next version of it', async () => {
    const file = await bundle();
    const pets = join(here, 'there', 'pets');
    await teachSmallIndex(pets);
    const before = await describeIndex(pets);
    await expect(into(file)).rejects.toMatchObject({ code: 'output_exists' });
    expect(await describeIndex(pets)).toEqual(before);

    const lock = await lockWriter(pets);
    await expect(into(file, { replace: true })).rejects.toMatchObject({ code: 'index_readonly' });
    await lock.release();
    expect(await describeIndex(pets)).toEqual(before);

    // Its changes stay in the log, and none of them is made to what is not theirs.
    expect(await into(file, { replace: true })).toMatchObject({ examples: 3, sequence: 4 });
    const { labels, sequence, changesSince } = await describeIndex(pets);
    expect({ sequence, changesSince }).toEqual({ sequence: 4, changesSince: 0 });
    expect(labels).toEqual([
      { label: 'cat', examples: 2 },
      { label: 'dog', examples: 1 },
    ]);
    expect((await verifyIndex({ root: pets })).defects).toEqual([]);
    expect(await into(file, { replace: true })).toMatchObject({ examples: 3, sequence: 4 });
  });

  it('publishes again what another has replaced meanwhile, though its folder is still there', async () => {
    const file = await bundle();
    const contentAt = async (one: string): Promise<string> =>
      contentDigest((await readPublished(one)).manifest);
    const { root: there } = await into(file);
    const first = await contentAt(there);
    await rm(root, { recursive: true });
    await publishSmallIndex({ root, embeddings: onCircle([5, 15, 95]), examples });
    await into(await bundle(), { replace: true });
    expect(await contentAt(there)).not.toBe(first);
    await into(file, { replace: true });
    expect(await contentAt(there)).toBe(first);
    expect((await verifyIndex({ root: there })).defects).toEqual([]);
  });

  it('needs a folder that can be written', async () => {
    const file = await bundle();
    await mkdir(join(here, 'there'));
    await writeFile(join(here, 'there', 'pets'), 'a file');
    await expect(into(file)).rejects.toMatchObject({ code: 'output_unwritable' });
    expect(existsSync(dirname(join(here, 'there')))).toBe(true);
  });
});
