import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { decisionSchema, readySchema } from '../../src/server/schemas.js';
import { openFaultyProxy } from '../postgres/faulty-proxy.js';
import { openServerForTest, queryServer, type ServerForTest } from '../postgres/server-for-test.js';
import { drawColour } from '../server/colour-classifier.js';
import { nearvoteIn as nearvoteHere } from './in-process.js';
import { nearvoteIn, type Ran } from './nearvote.js';
import { createWorkplace, soon, spawnServed, type Served } from './served.js';

const workplace = await createWorkplace();
const password = 'hidden-word';
const key = 'a-key-of-the-admin-alone';
let server: ServerForTest;
beforeAll(async () => {
  server = await openServerForTest();
}, 120_000);
afterAll(() => server.close());

const index = (...args: string[]): Promise<Ran> => nearvoteHere(workplace.folder, 'index', ...args);

/** With a password, which servers that trust anybody never look at. */
function urlOf(name: string, at = server.url): string {
  const url = new URL(at);
  url.password = password;
  url.searchParams.set('name', name);
  return url.href;
}

async function load(name: string): Promise<void> {
  const { stdout } = await index('load', workplace.index, '--to', urlOf(name));
  expect(stdout).toMatch(
    new RegExp(`^Loaded 3 examples of v1 into postgres://[^@]+/\\w+\\?name=${name}\\n$`),
  );
}

const serve = (told: string): Promise<Served> =>
  spawnServed(workplace, {
    fixed: [
      '--index',
      told,
      '--models',
      workplace.models,
      '--port',
      '0',
      '--workers',
      '1',
      '--log-level',
      'info',
    ],
    env: { NEARVOTE_ADMIN_KEY: key },
  });

async function classify({ url }: Served, image: Buffer) {
  const headers = { 'content-type': 'image/png' };
  const answer = await fetch(`${url}/classify?k=1`, { method: 'POST', headers, body: image });
  return decisionSchema.parse(await answer.json());
}

async function teach({ url }: Served, label: string, image: Buffer): Promise<Response> {
  const form = new FormData();
  form.append('label', label);
  form.append('image', new Blob([image], { type: 'image/png' }), 'one.png');
  return fetch(`${url}/examples`, { method: 'POST', headers: { 'x-api-key': key }, body: form });
}

describe('nearvote serve with an index in PostgreSQL', () => {
  it('answers as from the folder it was loaded from, and each of two servers as either was taught', async () => {
    await load('parts');
    const [one, other] = await Promise.all([serve(`parts=${urlOf('parts')}`), serve(urlOf('parts'))]);
    expect(one.lines[0]).toMatch(
      /^nearvote is starting with index postgres:\/\/\S+\?name=parts, version v1, encoder cifar10-compact \S+$/,
    );
    expect(one.line).toMatch(/with index parts v1, encoder .*, 3 examples, hnsw search/);
    expect(await classify(one, workplace.red)).toMatchObject({
      label: 'red',
      index: { name: 'parts', version: 'v1', sequence: 0 },
    });
    const black = await drawColour('black', 32);
    expect(await (await teach(one, 'night', black)).json()).toMatchObject({ sequence: 1 });
    expect(await classify(other, black)).toMatchObject({ label: 'night', index: { sequence: 1 } });
    const white = await drawColour('white', 32);
    expect(await (await teach(other, 'snow', white)).json()).toMatchObject({ sequence: 2 });
    expect(await classify(one, white)).toMatchObject({ label: 'snow', index: { sequence: 2 } });
    const headers = { 'x-api-key': key };
    const versions = await fetch(`${one.url}/versions`, { headers });
    expect(await versions.json()).toMatchObject({ current: 'v1', sequence: 2, writable: true, versions: [] });
    const compacted = await fetch(`${one.url}/versions`, { method: 'POST', headers });
    expect(await compacted.json()).toMatchObject({ code: 'index_readonly' });
    const verified = await fetch(`${one.url}/verification`, { method: 'POST', headers });
    expect(await verified.json()).toMatchObject({ code: 'query_invalid' });
    const bundle = await fetch(`${one.url}/bundle?replace=true`, {
      ...{ method: 'POST', body: new Uint8Array(1024) },
      headers: { ...headers, 'content-type': 'application/x-tar' },
    });
    expect(await bundle.json()).toMatchObject({
      code: 'query_invalid',
      detail: expect.stringContaining('parts lies in PostgreSQL') as string,
    });
    const { neighbours } = await classify(one, white);
    const picture = await fetch(`${one.url}/examples/${neighbours[0]?.id ?? ''}/picture`, { headers });
    expect(Buffer.from(await picture.arrayBuffer())).toEqual(white);

    // The commands go through the same port.
    const log = await index('log', urlOf('parts'), '--json');
    expect(log.stdout.trim().split('\n')).toHaveLength(2);
    const reverted = await index('revert', '1', '--index', urlOf('parts'));
    expect(reverted).toMatchObject({ code: 0 });
    expect((await classify(other, black)).label).not.toBe('night');
    expect((await index('show', urlOf('parts'))).stdout).toMatch(/sequence 3\n4 examples of 4 labels/);
    expect((await index('rollback', '0', '--index', urlOf('parts'))).stdout).toContain('4');
    // What others change is heard of each second, where no search does before.
    await vi.waitFor(async () => {
      const ready = readySchema.parse(await (await fetch(`${one.url}/readyz`)).json());
      expect(ready.index).toMatchObject({ examples: 3, sequence: 4 });
    }, soon);

    // As where an entry of the graph is lost: an error that is counted, and never a vote of fewer.
    const incomplete = 'nearvote_index_incomplete_searches_total{index="parts"}';
    expect(await one.metric(incomplete)).toBe(0);
    const [row] = await queryServer(server.url, `select key from nearvote.indexes where name = 'parts'`);
    await queryServer(
      server.url,
      `update nearvote.rows_${Number(row?.['key'])} set removed = 1 where position = 0`,
    );
    const body = workplace.red;
    const image = { 'content-type': 'image/png' };
    const answer = await fetch(`${one.url}/classify?k=3`, { method: 'POST', headers: image, body });
    expect(await answer.json()).toMatchObject({ status: 500, code: 'search_incomplete' });
    expect(await one.metric(incomplete)).toBe(1);
  });

  it('is not ready while the database is silent, answers 503 in time, and serves again when it is back', async () => {
    await load('silent');
    const proxy = await openFaultyProxy(server.url);
    try {
      const served = await serve(urlOf('silent', proxy.url));
      expect(await classify(served, workplace.red)).toMatchObject({ label: 'red' });
      proxy.answers = 'stall';
      const started = performance.now();
      const answer = await served.classify();
      expect(answer.status).toBe(503);
      expect(await answer.json()).toMatchObject({ code: 'database_unreachable' });
      expect(performance.now() - started).toBeLessThan(10_000);
      await vi.waitFor(async () => expect(await served.ready()).toBe(false), soon);
      expect((await teach(served, 'lost', workplace.red)).status).toBe(503);
      proxy.answers = 'pass';
      proxy.resetAll();
      await vi.waitFor(async () => expect(await served.ready()).toBe(true), soon);
      expect(await classify(served, workplace.red)).toMatchObject({ label: 'red' });
      const metrics = await (await fetch(`${served.url}/metrics`)).text();
      const readyz = await (await fetch(`${served.url}/readyz`)).text();
      served.child.kill('SIGTERM');
      await served.exited;
      expect([metrics, readyz, served.stderr(), ...served.lines].join('\n')).not.toContain(password);
    } finally {
      await proxy.close();
    }
  });

  it('refuses what lies in folders alone, and never tells the password', async () => {
    const url = urlOf('nobody');
    const images = [workplace.folder];
    const commands = [
      ['serve', '--index', url, '--port', '0'],
      ['serve', '--index', `a=${url}`, '--keep-images', '5', '--port', '0'],
      ['classify', ...images, '--index', url],
      ['classify', ...images, '--index', `a=${url}`],
      ['index', 'verify', url],
      ['index', 'log', url],
      ['index', 'delete', 'x', '--index', `${url}&name=two`],
    ];
    for (const command of commands) {
      const run = command[0] === 'serve' ? nearvoteIn : nearvoteHere;
      const { code, stdout, stderr } = await run(workplace.folder, ...command);
      expect(code, command.join(' ')).not.toBe(0);
      expect(stderr, command.join(' ')).toMatch(/\[(usage|index_missing)\]/);
      expect(stdout + stderr).not.toContain(password);
    }
  });
});
