import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { NearvoteError } from '../../src/domain/errors.js';
import { reloadSchema } from '../../src/server/schemas.js';
import { drawColour } from './colour-classifier.js';
import { expectProblem, multipart, startTestServer, type Answer, type TestServer } from './test-server.js';

let server: TestServer;
afterEach(() => server.close());

const red = await drawColour('red');
const apiKeys = ['first-key-of-many', 'second-key-of-many'];
const adminKey = 'the-key-of-the-admin';

function classify(headers: Record<string, string> = {}, path = '/classify'): Promise<Answer> {
  return server.ask(path, {
    method: 'POST',
    headers: { 'content-type': 'image/png', ...headers },
    body: new Uint8Array(red),
  });
}

describe('API keys', () => {
  it.each([
    { authorization: `Bearer ${apiKeys[0] ?? ''}` },
    { authorization: `bearer  ${apiKeys[1] ?? ''}` },
    { 'x-api-key': apiKeys[1] ?? '' },
  ])('open /classify and /embed: %o', async (headers) => {
    server = await startTestServer({ apiKeys });
    expect((await classify(headers as Record<string, string>)).status).toBe(200);
    expect((await classify(headers as Record<string, string>, '/embed')).status).toBe(200);
  });

  it.each([
    {},
    { authorization: 'Bearer first-key-of-man' },
    { authorization: 'Bearer first-key-of-many2' },
    { authorization: 'Bearer first-key-of-many second-key-of-many' },
    { authorization: 'Basic first-key-of-many' },
    { authorization: 'Bearer ' },
    { 'x-api-key': '' },
    { 'x-api-key': 'first-key-of-many, second-key-of-many' },
    { authorization: `Bearer ${adminKey}` },
  ])('that are not right are 401 before the body counts: %o', async (headers) => {
    server = await startTestServer({
      apiKeys,
      adminKey,
    });
    for (const path of ['/classify', '/embed']) {
      const answer = await classify(headers, path);
      expectProblem(answer, 401, 'unauthorized');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="nearvote"');
      for (const key of apiKeys) expect(answer.text).not.toContain(key);
    }
    for (const key of apiKeys) expect(server.logged.join('')).not.toContain(key);
  });

  it('are not asked for by probes, metrics and the contract', async () => {
    server = await startTestServer({ apiKeys });
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/docs']) {
      expect((await server.ask(path)).status).toBe(200);
    }
  });
});

describe('POST /admin/reload', () => {
  const reload = (key?: string): Promise<Answer> =>
    server.ask('/admin/reload', {
      method: 'POST',
      ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }),
    });

  it('does not exist without an admin key', async () => {
    server = await startTestServer({ apiKeys });
    expectProblem(await reload(apiKeys[0]), 404, 'not_found');
    expectProblem(await server.ask('/admin/reload'), 404, 'not_found');
  });

  it('answers with the version served now, to the admin key alone', async () => {
    let reloads = 0;
    server = await startTestServer({ apiKeys, adminKey });
    server.served.reload = () => {
      reloads += 1;
      return Promise.resolve({ name: 'colours', version: '2' });
    };
    for (const key of [undefined, apiKeys[0], `${adminKey}!`]) {
      expectProblem(await reload(key), 401, 'unauthorized');
    }
    expectProblem(await server.ask('/admin/reload'), 405, 'method_not_allowed');
    expect(reloads).toBe(0);
    const answer = await reload(adminKey);
    expect(answer.status).toBe(200);
    const reloaded = { name: 'colours', version: '2' };
    expect(reloadSchema.parse(answer.body)).toEqual({
      status: 'reloaded',
      index: reloaded,
      indexes: [reloaded],
    });
    expect(reloads).toBe(1);
  });

  it('that fails is reload_failed by its code alone; whoever reloads logs why, once', async () => {
    const fails = new NearvoteError(
      'index_invalid',
      'Expected a manifest in /home/me/index but received none',
    );
    server = await startTestServer({ adminKey });
    server.served.reload = () => Promise.reject(fails);
    const answer = await reload(adminKey);
    expect(expectProblem(answer, 409, 'reload_failed')).toContain('index_invalid');
    expect(answer.text).not.toContain('/home/me');
    expect(server.logged.join('')).not.toContain('/home/me');
    await server.expectStillServing();
  });

  it('while stopping is shutting_down', async () => {
    const stopping = new NearvoteError('shutting_down', 'Expected a serving server');
    server = await startTestServer({ adminKey });
    server.served.reload = () => Promise.reject(stopping);
    expectProblem(await reload(adminKey), 503, 'shutting_down');
  });
});

describe('the rate limit', () => {
  it('is of each key, and of the address of whoever has none', async () => {
    server = await startTestServer({ apiKeys, rateLimit: 2 });
    const [first, second] = apiKeys.map((key) => ({ 'x-api-key': key }));
    expect([(await classify(first)).status, (await classify(first)).status]).toEqual([200, 200]);
    const refused = await classify(first);
    expectProblem(refused, 429, 'rate_limited');
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThanOrEqual(1);
    expect(wait).toBeLessThanOrEqual(60);
    expect((await classify(second)).status).toBe(200);
    // Guessing is limited too.
    const guesses = [];
    for (let i = 0; i < 3; i++) guesses.push((await classify({ 'x-api-key': `guess-${i}` })).status);
    expect(guesses).toEqual([401, 401, 429]);
    expect((await server.ask('/healthz')).status).toBe(200);
  });

  it('does not believe X-Forwarded-For unless proxies are trusted', async () => {
    server = await startTestServer({ rateLimit: 2 });
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await classify({ 'x-forwarded-for': `10.0.0.${i}` })).status);
    expect(statuses).toEqual([200, 200, 429]);
    await server.close();
    server = await startTestServer({ rateLimit: 2, trustProxy: 1 });
    const believed = [];
    for (let i = 0; i < 3; i++) believed.push((await classify({ 'x-forwarded-for': `10.0.0.${i}` })).status);
    expect(believed).toEqual([200, 200, 200]);
  });
});

describe('a URL in place of an image', () => {
  it('is refused and never fetched', async () => {
    let connections = 0;
    const bait = createServer((_req, res) => res.end(red));
    bait.on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => bait.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(bait.address() as AddressInfo).port}/red.png`;
    server = await startTestServer();
    const svg = `<svg xmlns="http://www.w3.org/2000/svg"><image href="${url}" width="9" height="9"/></svg>`;
    const json = { 'content-type': 'application/json' };
    const answers = [
      await server.ask('/classify', { method: 'POST', headers: json, body: JSON.stringify({ image: url }) }),
      await server.ask('/classify', { method: 'POST', headers: json, body: JSON.stringify({ url }) }),
      await server.ask(`/classify?url=${encodeURIComponent(url)}`, {
        method: 'POST',
        headers: { 'content-type': 'image/png' },
        body: new Uint8Array(red),
      }),
      await server.ask('/classify', {
        method: 'POST',
        headers: { 'content-type': 'image/svg+xml' },
        body: svg,
      }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 415]);
    bait.close();
    expect(connections).toBe(0);
  });
});

describe('a path that leaves its folder', () => {
  it.each([
    '/docs/../../package.json',
    '/docs/..%2f..%2fpackage.json',
    '/docs/%2e%2e/%2e%2e/package.json',
    '/docs/..%5c..%5cpackage.json',
    '/docs/%252e%252e/package.json',
    '/docs//etc/passwd',
    '/docs/package.json',
    '/docs/swagger-ui.css%00.png',
    '/docs/swagger-ui.css/../package.json',
    '//etc/passwd',
    '/../../../../etc/passwd',
  ])('is no route: %s', async (path) => {
    server = await startTestServer();
    // As bytes, for fetch would tidy the path up.
    const answer = await server.send(`GET ${path} HTTP/1.1\r\nHost: t\r\n\r\n`);
    expect([400, 404]).toContain(answer.status);
    expect(answer.text).not.toMatch(/swagger-ui-dist|"dependencies"|root:/);
  });

  it('is only a name in a filename, and no request id', async () => {
    server = await startTestServer();
    for (const filename of ['../../../etc/passwd', '/etc/passwd', '..\\..\\boot.ini']) {
      const answer = await server.ask('/classify', {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=edge', 'x-request-id': '../../etc/passwd' },
        body: new Uint8Array(multipart([{ name: 'image', filename, content: red }])),
      });
      expect(answer.status).toBe(200);
      expect(answer.text).not.toContain('passwd');
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

const openFiles = '/proc/self/fd';
let countsOpenFiles = true;
try {
  readdirSync(openFiles);
} catch {
  countsOpenFiles = false;
}

// Only Linux lists a process's open files.
describe.skipIf(!countsOpenFiles)('a thousand failing uploads', () => {
  it('leave no file or socket open', async () => {
    server = await startTestServer();
    const kept = 'POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\n';
    const fail = async (i: number): Promise<void> => {
      const answer = await server.send(
        i % 2 === 0
          ? `${kept}Content-Length: 3\r\n\r\nbad`
          : 'POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=e\r\nContent-Length: 9\r\n\r\n--e\r\nCont',
      );
      expect(answer.status).toBeGreaterThanOrEqual(400);
    };
    await fail(0);
    await server.expectStillServing();
    const before = readdirSync(openFiles).length;
    for (let round = 0; round < 50; round++) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => fail(i)));
    }
    // Both ends of every connection are in this process; closing takes them a turn or two.
    await expect.poll(() => readdirSync(openFiles).length, { timeout: 5000 }).toBeLessThanOrEqual(before + 2);
    await server.expectStillServing();
  });
});
