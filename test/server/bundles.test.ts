import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, statfs, symlink, writeFile } from 'node:fs/promises';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { create } from 'tar';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NearvoteError } from '../../src/domain/errors.js';
import { exportIndex } from '../../src/curate/export-index.js';
import { importIndex } from '../../src/curate/import-index.js';
import { readPublished } from '../../src/examples/index-store.js';
import { importedSchema } from '../../src/server/bundle-schemas.js';
import { editManifest } from '../neighbours/small-index.js';
import { drawColour } from './colour-classifier.js';
import {
  adminKey,
  ask,
  failNextLoad,
  green,
  moveIndex,
  labelOf,
  lime,
  rootOfIndex,
  startTaught,
  teach,
  useTaughtServer,
} from './taught-server.js';
import { testLoad, type Answer, type TestServer } from './test-server.js';

useTaughtServer();

const asAdmin = { 'x-api-key': adminKey };
const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function fetchBundle({ url }: TestServer, query = ''): Promise<{ response: Response; bytes: Buffer }> {
  const response = await fetch(`${url}/bundle${query}`, { headers: asAdmin });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}

const post = (bytes: Uint8Array, query = '', headers: Record<string, string> = {}): Promise<Answer> =>
  ask(`/bundle${query}`, {
    method: 'POST',
    body: new Blob([Uint8Array.from(bytes)]),
    headers: { 'content-type': 'application/x-tar', ...headers },
  });

/** A bundle of another index of the same encoder, with one label alone. */
async function anotherBundle(
  edit: (dir: string) => Promise<void> = () => Promise.resolve(),
  folder = dirname(rootOfIndex()),
): Promise<Buffer> {
  const root = await mkdtemp(join(folder, 'other-'));
  await cp(rootOfIndex(), root, {
    recursive: true,
    filter: (path) => !path.includes('live.db') && !path.includes('.writer'),
  });
  const { dir } = await readPublished(root);
  await edit(dir);
  return readFile((await exportIndex({ root, out: join(root, 'out') })).path);
}
const renamed = (): Promise<Buffer> =>
  anotherBundle(async (dir) => {
    const text = (await readFile(join(dir, 'examples.jsonl'), 'utf8')).replaceAll('"red"', '"rot"');
    await writeFile(join(dir, 'examples.jsonl'), text);
    await editManifest(dir, (manifest) => {
      const files = manifest['files'] as Record<string, unknown>;
      files['examples.jsonl'] = { sha256: sha256Of(Buffer.from(text)), bytes: text.length };
      manifest['labels'] = [
        { label: 'rot', examples: 2 },
        { label: 'blue', examples: 2 },
      ];
    });
  });
const current = async (): Promise<string> => (await readPublished(rootOfIndex())).version;
/** What lies in the folder of the index, but for what an open journal has beside it. */
const left = async (): Promise<string[]> =>
  (await readdir(rootOfIndex()))
    .filter((name) => !name.startsWith('live.db') && !name.startsWith('.writer'))
    .sort();

const soon = { timeout: 20_000, interval: 10 };

/** More than the kernel holds of an answer that nobody reads. */
async function enlarge(): Promise<void> {
  const { dir } = await readPublished(rootOfIndex());
  const rejects = Buffer.alloc(24_000_000);
  await writeFile(join(dir, 'rejects.jsonl'), rejects);
  await editManifest(dir, (manifest) => {
    const files = manifest['files'] as Record<string, unknown>;
    files['rejects.jsonl'] = { sha256: sha256Of(rejects), bytes: rejects.length };
  });
}

/** An answer of which nothing was read yet. */
async function begin({ url }: TestServer): Promise<IncomingMessage> {
  const asked = request(`${url}/bundle`, { headers: asAdmin, agent: false }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  return answer;
}

describe('GET /bundle', () => {
  it('gives all that was taught as one file, called by its sha256, which import takes', async () => {
    const server = await startTaught();
    await teach('green');
    const { response, bytes } = await fetchBundle(server);
    const sha256 = sha256Of(bytes);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/x-tar',
      'content-length': String(bytes.length),
      'content-disposition': `attachment; filename=colours-${sha256}.tar`,
      'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
    });
    const file = join(dirname(rootOfIndex()), 'taken.tar');
    await writeFile(file, bytes);
    const there = join(dirname(rootOfIndex()), 'there');
    const imported = await importIndex({
      ...{ file, root: () => there, models: there, replace: false, sha256, keep: 3 },
    });
    expect(imported).toMatchObject({ examples: 5, sequence: 1, version: await current() });
    expect(existsSync(join(rootOfIndex(), '.bundle'))).toBe(false);
  });

  it('leaves changes out where that is asked, and gives a version that is kept', async () => {
    const server = await startTaught();
    const before = await current();
    await teach('green');
    const published = await fetchBundle(server, '?asPublished=true');
    expect(await current()).toBe(before);
    await ask('/versions', { method: 'POST' });
    const kept = await fetchBundle(server, `?version=${before}`);
    expect(kept.bytes.equals(published.bytes)).toBe(true);
    expect((await ask('/bundle?version=nothing')).body).toMatchObject({ code: 'query_invalid' });
  });

  it('is for the admin key, is no HEAD, and of a read-only server has no changes folded in', async () => {
    const server = await startTaught({ readonly: 'another process writes' });
    expect((await server.ask('/bundle')).status).toBe(401);
    const head = await ask('/bundle', { method: 'HEAD' });
    expect([head.status, head.headers.get('allow')]).toEqual([405, 'GET, POST']);
    expect((await fetchBundle(server)).response.status).toBe(200);
    expect((await post(Buffer.from('x'))).body).toMatchObject({ code: 'index_readonly' });
  });

  it('goes on for a slow reader past the time of other answers, and one is made at a time', async () => {
    const load = { ...testLoad, writeTimeout: 300 };
    const server = await startTaught({ load });
    await enlarge();
    const answer = await begin(server);
    expect(await ask('/bundle')).toMatchObject({ status: 503, body: { code: 'bundle_busy' } });
    expect(await post(Buffer.from('x'))).toMatchObject({ status: 503, body: { code: 'bundle_busy' } });
    let bytes = 0;
    const began = performance.now();
    for await (const piece of answer) {
      bytes += (piece as Buffer).length;
      // On the clock of the write timeout, ten of which end any other answer.
      await new Promise((resolve) => setTimeout(resolve, 9));
    }
    expect(performance.now() - began).toBeGreaterThan(10 * load.writeTimeout);
    expect(String(bytes)).toBe(answer.headers['content-length']);
  });

  it('is cut off for a reader that stands still, and the next one is answered', async () => {
    const server = await startTaught({ load: { ...testLoad, writeTimeout: 100 } });
    await enlarge();
    const answer = await begin(server);
    answer.on('error', () => undefined).pause();
    await expect.poll(() => existsSync(join(rootOfIndex(), '.bundle')), soon).toBe(false);
    expect((await ask('/bundle', { method: 'HEAD' })).status).toBe(405);
    await server.expectStillServing();
    answer.destroy();
  });

  it('leaves nothing where the client vanishes', async () => {
    const server = await startTaught();
    await enlarge();
    const answer = await begin(server);
    answer.destroy();
    await expect.poll(() => existsSync(join(rootOfIndex(), '.bundle')), soon).toBe(false);
    await server.expectStillServing();
  });
});

describe('POST /bundle', () => {
  it('is answered by from the next request on, and what was there before can be fetched and put back', async () => {
    const server = await startTaught();
    const before = await fetchBundle(server);
    const answer = importedSchema.parse((await post(await renamed())).body);
    expect(answer).toMatchObject({ name: 'colours', examples: 4, sequence: 0, changed: true });
    expect(await labelOf(await drawColour('red'))).toBe('rot');
    expect((await ask('/versions')).body).toMatchObject({ current: answer.version, examples: 4 });
    expect((await teach('green')).body).toMatchObject({ outcome: 'added', sequence: 1 });
    expect(await labelOf(green)).toBe('green');
    const former = await fetchBundle(server, `?version=${answer.former}`);
    expect(former.bytes.equals(before.bytes)).toBe(true);
    expect((await post(former.bytes, '?replace=true')).body).toMatchObject({ examples: 4, changed: true });
    expect(await labelOf(await drawColour('red'))).toBe('red');
    expect((await post(former.bytes)).body).toMatchObject({ changed: false });
    expect((await ask('/verification', { method: 'POST' })).body).toMatchObject({ defects: [] });
  });

  it('is refused where it lacks what was taught, in the journal or folded in, unless that is meant', async () => {
    const server = await startTaught();
    const other = await renamed();
    await teach('green');
    const refused = await post(other);
    expect([refused.status, refused.body]).toMatchObject([
      409,
      { code: 'changes_left_out', detail: expect.stringContaining('it lacks 1 change made since') as string },
    ]);
    await ask('/versions', { method: 'POST' });
    expect((await post(other)).body).toMatchObject({ code: 'changes_left_out' });
    const own = await fetchBundle(server);
    expect((await post(own.bytes)).body).toMatchObject({ changed: false });
    await teach('lime', lime);
    const { former } = importedSchema.parse((await post(other, '?replace=true')).body);
    expect(await labelOf(green)).not.toBe('green');
    const kept = await fetchBundle(server, `?version=${former}`);
    await post(kept.bytes, '?replace=true');
    expect([await labelOf(green), await labelOf(lime)]).toEqual(['green', 'lime']);
  });

  it('makes changes that are asked for meanwhile to what was published', async () => {
    const server = await startTaught();
    const [other, image] = [await renamed(), await drawColour('red')];
    const { replace } = server.served.changes;
    let posted: Promise<Answer> | undefined;
    await new Promise<void>((resolve) => {
      server.served.changes = {
        ...server.served.changes,
        replace: (replacement) => {
          resolve();
          return replace(replacement);
        },
      };
      posted = post(other);
    });
    const renaming = ask('/labels/rot', {
      method: 'POST',
      body: '{"to": "crimson"}',
      headers: { 'content-type': 'application/json' },
    });
    expect((await posted)?.status).toBe(200);
    expect((await renaming).body).toMatchObject({ changed: 2 });
    expect(await labelOf(image)).toBe('crimson');
  });

  it.each([
    ['with a flipped bit', (whole: Buffer) => flipped(whole), {}, 400, 'bundle_invalid'],
    ['that was cut short', (whole: Buffer) => whole.subarray(0, whole.length / 2), {}, 400, 'bundle_invalid'],
    [
      'of another digest',
      (whole: Buffer) => whole,
      { query: `?sha256=${'0'.repeat(64)}` },
      400,
      'bundle_invalid',
    ],
    [
      'of another digest by its header',
      (whole: Buffer) => whole,
      { headers: { 'repr-digest': `sha-256=:${Buffer.alloc(32).toString('base64')}:` } },
      ...([400, 'bundle_invalid'] as const),
    ],
    [
      'with a digest that is none',
      (whole: Buffer) => whole,
      { headers: { 'repr-digest': 'sha-256=abc' } },
      400,
      'request_malformed',
    ],
    ['with a query that is none', (whole: Buffer) => whole, { query: '?replace=yes' }, 400, 'query_invalid'],
    ['without a bundle', () => Buffer.alloc(0), {}, 400, 'bundle_invalid'],
    [
      'as an image',
      (whole: Buffer) => whole,
      { headers: { 'content-type': 'image/png' } },
      415,
      'media_type_unsupported',
    ],
    ['that is too large', () => Buffer.alloc(testLoad.maxBundleBytes + 1), {}, 413, 'body_too_large'],
  ] as [
    string,
    (whole: Buffer) => Buffer,
    { query?: string; headers?: Record<string, string> },
    number,
    string,
  ][])(
    'is refused %s, and nothing is changed or left',
    async (_what, make, { query = '', headers = {} }, status, code) => {
      await startTaught();
      const whole = await renamed();
      const [before, held] = [await current(), await left()];
      const answer = await post(make(whole), query, headers);
      expect([answer.status, answer.body]).toMatchObject([status, { code }]);
      expect([await current(), await left()]).toEqual([before, held]);
      expect(await labelOf(await drawColour('red'))).toBe('red');
    },
  );

  it('is refused of another encoder, which is named', async () => {
    await startTaught();
    const other = await anotherBundle((dir) =>
      editManifest(dir, (manifest) => {
        Object.assign(manifest['encoder'] as object, { name: 'another', sha256: '1'.repeat(64) });
      }),
    );
    const answer = await post(other);
    expect([answer.status, answer.body]).toMatchObject([
      409,
      { code: 'encoder_mismatch', detail: expect.stringContaining('another with sha256 1111') as string },
    ]);
  });

  it('is refused where a name in it leads elsewhere, or it is another tar', async () => {
    await startTaught();
    const dir = join(dirname(rootOfIndex()), 'evil');
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'x'), 'x');
    await symlink('/etc/passwd', join(dir, 'link'));
    await create({ file: join(dir, 'evil.tar'), cwd: dir, preservePaths: true }, ['../evil/x', 'link']);
    const traversal = Buffer.from(await renamed());
    traversal.write('../../../evil', traversal.indexOf('index/examples.jsonl'));
    for (const bytes of [await readFile(join(dir, 'evil.tar')), traversal]) {
      expect(await post(bytes)).toMatchObject({ status: 400, body: { code: 'bundle_invalid' } });
    }
    expect((await readdir(dirname(rootOfIndex()))).sort()).toEqual(
      expect.not.arrayContaining(['evil.jsonl']),
    );
  });

  it('is nothing where the client vanishes or stands still in the middle of it', async () => {
    const server = await startTaught({ load: { ...testLoad, writeTimeout: 100 } });
    const [whole, held] = [await renamed(), await left()];
    const vanishing = await beginPost(server, whole);
    vanishing.destroy();
    await expect.poll(left, soon).toEqual(held);
    const still = await beginPost(server, whole);
    const [answer] = (await once(still, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(503);
    still.destroy();
    await expect.poll(left, soon).toEqual(held);
    expect((await post(whole)).status).toBe(200);
  });

  it('may come as slowly as it likes, as long as it goes on', async () => {
    const server = await startTaught({ timeouts: { requestMs: 50, headersMs: 50, checkMs: 10 } });
    const whole = await renamed();
    const sending = await beginPost(server, whole);
    // On the clock of the time that other requests have.
    await new Promise((resolve) => setTimeout(resolve, 200));
    sending.end(whole.subarray(whole.length / 2));
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    answer.resume();
  });

  it('goes back to what was served where the new version cannot be opened', async () => {
    await startTaught();
    const before = await current();
    failNextLoad(new NearvoteError('index_invalid', 'a graph that cannot be read'));
    const answer = await post(await renamed());
    expect([answer.status, answer.body]).toMatchObject([409, { code: 'reload_failed' }]);
    expect(await current()).toBe(before);
    expect((await teach('green')).body).toMatchObject({ outcome: 'added' });
    expect(await labelOf(await drawColour('red'))).toBe('red');
  });

  it.skipIf(process.getuid?.() !== 0)(
    'is refused by a full disk, and taken when there is room',
    async (context) => {
      const disk = join(dirname(rootOfIndex()), 'disk');
      await mkdir(disk);
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { stdio: 'pipe' });
      } catch {
        context.skip('nothing can be mounted here');
      }
      onTestFinished(() => void execFileSync('umount', ['-l', disk]));
      await moveIndex(join(disk, 'colours'));
      await startTaught();
      const bundle = await anotherBundle(undefined, tmpdir());
      const { bavail, bsize } = await statfs(disk);
      await writeFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - 8_192));
      expect(await post(bundle)).toMatchObject({ status: 507, body: { code: 'output_unwritable' } });
      expect((await ask('/examples')).status).toBe(200);
      await rm(join(disk, 'ballast'));
      expect((await post(bundle)).status).toBe(200);
    },
  );
});

/** Sends the first half of a body. */
async function beginPost({ url }: TestServer, whole: Buffer): Promise<ClientRequest> {
  const headers = { ...asAdmin, 'content-type': 'application/x-tar', 'content-length': whole.length };
  const sending = request(`${url}/bundle`, { method: 'POST', headers, agent: false });
  sending.on('error', () => undefined);
  await new Promise((resolve) => sending.write(whole.subarray(0, whole.length / 2), resolve));
  await expect.poll(() => existsSync(join(rootOfIndex(), '.bundle', 'body.tar')), soon).toBe(true);
  return sending;
}

function flipped(whole: Buffer): Buffer {
  const bytes = Buffer.from(whole);
  const at = bytes.indexOf('"id":"built-0"');
  bytes.writeUInt8(bytes.readUInt8(at + 7) ^ 1, at + 7);
  return bytes;
}
