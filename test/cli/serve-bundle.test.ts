import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportIndex } from '../../src/curate/export-index.js';
import { decisionSchema, readySchema } from '../../src/server/schemas.js';
import { openBundleHost, sha256Of } from '../bundles/bundle-host.js';
import { nearvoteHere } from './in-process.js';
import { createWorkplace, soon, spawnServed, type Served } from './served.js';

const workplace = await createWorkplace();
const { folder, index, models } = workplace;
const host = await openBundleHost();
afterAll(() => host.close());
const encoderDir = join(models, 'cifar10-compact');
const key = 'a-key-of-the-admin-alone';

/** `colours` with three labels and its encoder, and with two and without. */
let three = '';
let two = '';
let encoderUrl = '';
beforeAll(async () => {
  await mkdir(join(folder, 'none'));
  for (const version of ['v1', 'v2']) {
    await workplace.publish(version);
    const { path, sha256 } = await exportIndex({
      ...{ root: index, out: folder },
      encoderOf: version === 'v1' ? () => Promise.resolve(encoderDir) : undefined,
    });
    host.files.set(`/${version}.tar`, await readFile(path));
    if (version === 'v1') three = `v1.tar#sha256:${sha256}`;
    else two = `v2.tar#sha256:${sha256}`;
  }
  for (const file of ['encoder.json', 'encoder.onnx'])
    host.files.set(`/encoders/${file}`, await readFile(join(encoderDir, file)));
  const digest = sha256Of(host.files.get('/encoders/encoder.json') ?? Buffer.alloc(0));
  encoderUrl = `${host.url}/encoders/encoder.json#sha256:${digest}`;
});
const point = (to: string): void => void host.files.set('/colours.pointer', Buffer.from(`${to}\n`));

const serve = (told: string, ...flags: string[]): Promise<Served> =>
  spawnServed(workplace, {
    fixed: [
      ...['--index', told, '--models', join(folder, 'none'), '--cache-dir', join(folder, 'cache')],
      ...['--poll-seconds', '0.1', '--port', '0', '--workers', '1', '--log-level', 'warn'],
    ],
    flags: ['--encoder', encoderUrl, ...flags],
    env: { NEARVOTE_ADMIN_KEY: key },
  });
const readyOf = async ({ url }: Served) => readySchema.parse(await (await fetch(`${url}/readyz`)).json());
const asked = async ({ url }: Served, method: string, path: string, body?: object) => {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const answer = await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) });
  return (await answer.json()) as { code?: string; index?: { version: string } };
};
const failing = 'nearvote_bundle_failing{index="colours"}';

describe('nearvote serve with a pointer', () => {
  it('waits for what it names and says so, serves it read-only through what goes wrong with the next, and after a restart', async () => {
    const port = 20_000 + (process.pid % 10_000);
    const secret = 'signature=hidden';
    const starting = serve(`colours=${host.url}/colours.pointer?${secret}`, '--port', String(port));
    const probe = () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        async (answer) => JSON.stringify([answer.status, await answer.json()]),
        () => '',
      );
    await expect.poll(probe, soon).toMatch(/^\[503.*still loading \(bundle_refused: .*colours.pointer/);
    expect(await probe()).not.toContain(secret);
    point(three);
    const server = await starting;
    expect(server.lines[0]).toContain(`index ${host.url}/colours.pointer, which is fetched first`);
    const first = await readyOf(server);
    expect(first.index).toMatchObject({ name: 'colours', examples: 3 });
    expect(first.index.bundle?.failures).toBeGreaterThan(0);
    expect(first.index.bundle?.sha256).toBe(three.slice(-64));
    expect(decisionSchema.parse(await (await server.classify()).json())).toMatchObject({
      label: 'red',
      index: { name: 'colours', version: first.index.version },
    });
    expect((await asked(server, 'DELETE', '/examples/red%2F0.png')).code).toBe('index_readonly');
    expect((await asked(server, 'POST', '/versions')).code).toBe('index_readonly');
    const cached = await readdir(join(folder, 'cache'), { recursive: true });
    const bundle = await fetch(`${server.url}/bundle?replace=true`, {
      ...{ method: 'POST', body: Uint8Array.from(host.files.get('/v2.tar') ?? []) },
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-tar' },
    });
    expect([bundle.status, await bundle.json()]).toMatchObject([409, { code: 'index_readonly' }]);
    expect(await readdir(join(folder, 'cache'), { recursive: true })).toEqual(cached);
    expect((await readyOf(server)).index.version).toBe(first.index.version);
    expect(await server.metric(failing)).toBe(0);
    const failures = await server.metric('nearvote_bundle_failures_total{index="colours"}');
    expect(failures).toBeGreaterThan(0);
    expect(await server.metric('nearvote_index_writable{index="colours"}')).toBe(0);

    // Its encoder is not in it.
    point(two);
    await expect.poll(async () => (await readyOf(server)).index.examples, soon).toBe(2);
    expect((await server.classify()).status).toBe(200);

    point(`gone.tar#sha256:${'a'.repeat(64)}`);
    await expect.poll(() => server.metric(failing), soon).toBe(1);
    expect((await readyOf(server)).index).toMatchObject({
      examples: 2,
      bundle: { sha256: two.slice(-64), failure: { code: 'bundle_refused' } },
    });
    await expect.poll(() => server.stderr(), soon).toContain('the bundle from before goes on serving');
    // A reload looks at once.
    expect((await asked(server, 'POST', '/admin/reload')).code).toBe('reload_failed');
    point(three);
    expect((await asked(server, 'POST', '/admin/reload')).index?.version).toBe(first.index.version);
    expect(await server.metric(failing)).toBe(0);
    server.child.kill('SIGTERM');
    expect(await server.exited).toEqual([0, null]);
    expect(server.stderr() + server.lines.join()).not.toContain(secret);

    host.files.delete('/colours.pointer');
    const again = await serve(`${host.url}/colours.pointer?${secret}`);
    expect((await readyOf(again)).index).toMatchObject({
      version: first.index.version,
      bundle: { sha256: three.slice(-64), failure: { code: 'bundle_refused' } },
    });
    point(two);
    await expect.poll(async () => (await readyOf(again)).index.examples, soon).toBe(2);
  });
});

describe('nearvote serve refuses', () => {
  it.each([
    ['a bundle without its digest', ['--index', 'https://host/a.tar'], 'https://host/a.tar#sha256:HEX'],
    ['http elsewhere', ['--index', 'a=http://host/a.pointer'], '--allow-http'],
    [
      'a name that is none, and shows no secret',
      ['--index', 'a b=https://host/a.pointer?x=hidden'],
      'received "a b"',
    ],
    ['a name that is none', ['--index', 'https://host/.pointer'], '--index NAME=URL'],
    [
      'an encoder without a digest',
      ['--encoder', 'https://host/encoder.json', '--index', 'https://host/a.pointer'],
      'encoder.json#sha256:HEX',
    ],
    [
      'to keep decisions of it',
      ['--index', 'https://host/a.pointer', '--keep-images', '5'],
      'but a is fetched',
    ],
  ])('%s', async (_, flags, message) => {
    const { code, stderr } = await nearvoteHere(folder, ['serve', '--port', '0', ...flags]);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(message) as string });
  });

  it('a bundle that is another, and commands refuse the URL that only it takes', async () => {
    const url = `${host.url}/v1.tar#sha256:${two.slice(-64)}`;
    const flags = ['--index', url, '--cache-dir', join(folder, 'other cache'), '--port', '0'];
    const { code, stderr } = await nearvoteHere(folder, ['serve', ...flags]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[bundle_invalid]') as string,
    });
    expect((await nearvoteHere(folder, ['evaluate', '--index', url, '--data', '.'])).stderr).toContain(
      'received a URL, which serve takes',
    );
  });
});
