import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { NearvoteError } from '../../src/domain/errors.js';
import {
  decisionSchema,
  decisionsSchema,
  embeddingSchema,
  embeddingsSchema,
  readySchema,
} from '../../src/server/schemas.js';
import { allRoutes, methodsByPath } from '../../src/server/routes.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';
import { expectProblem, multipart, startTestServer, type Answer, type TestServer } from './test-server.js';

let server: TestServer;
let green: Buffer;

beforeAll(async () => {
  server = await startTestServer();
  green = await drawColour('lime');
});
afterAll(() => server.close());

const postTo = (one: TestServer, path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  one.ask(path, { method: 'POST', body: green, headers: { 'content-type': 'image/png', ...headers } });

describe('POST /classify', () => {
  it('answers a decision with five neighbours, without their sources, and says where the time went', async () => {
    const answer = await postTo(server, '/classify');
    const decision = decisionSchema.parse(answer.body);
    expect(decision).toMatchObject({ label: 'green', outcome: 'known', calibrated: false });
    expect(decision.neighbours).toHaveLength(5);
    expect(answer.text).not.toContain('secret');
    expect(answer.headers.get('server-timing')).toMatch(
      /^decode;dur=\d+\.\d\d, queue;dur=\d+\.\d\d, encode;dur=3\.00, search;dur=4\.00, vote;dur=\d+\.\d\d$/,
    );
  });

  it('shows as many neighbours as are asked for', async () => {
    const { body } = await postTo(server, '/classify?neighbours=2&k=3&vote=majority');
    expect(decisionSchema.parse(body).neighbours).toHaveLength(2);
  });

  it('shows sources where the server was told to', async () => {
    const open = await startTestServer({ exposeSources: true });
    const { body } = await postTo(open, '/classify');
    expect(decisionSchema.parse(body).neighbours[0]?.source).toBe('secret/green-0.png');
    await open.close();
  });

  it('refuses a bad query before it reads the body', async () => {
    expectProblem(await postTo(server, '/classify?k=0'), 400, 'query_invalid');
    expectProblem(await postTo(server, '/classify?k=31'), 400, 'k_too_large');
    expectProblem(await postTo(server, '/classify?K=3'), 400, 'query_invalid');
    expectProblem(await postTo(server, '/classify?k=3&k=4'), 400, 'query_invalid');
    const unread = await server.send(
      'POST /classify?k=x HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\nContent-Length: 90000\r\n\r\n',
    );
    expectProblem(unread, 400, 'query_invalid');
  });
});

describe('POST /embed', () => {
  it('answers the unit embedding of one image and of many', async () => {
    const one = embeddingSchema.parse((await postTo(server, '/embed')).body);
    expect(one).toEqual({
      embedding: [0, 1, 0],
      dimension: 3,
      encoder: { name: 'mean-colour', version: '2' },
    });
    const many = await server.ask('/embed', {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=edge' },
      body: multipart([
        { name: 'images', filename: 'a', content: green },
        { name: 'images', filename: 'b', content: 'x' },
      ]),
    });
    const { results } = embeddingsSchema.parse(many.body);
    expect(results).toMatchObject([one, { error: { code: 'image_unsupported' } }]);
  });

  it('has no query but the index', async () => {
    expectProblem(await postTo(server, '/embed?k=3'), 400, 'query_invalid');
  });
});

describe('probes', () => {
  it('say alive and ready, with what is served', async () => {
    expect((await server.ask('/healthz')).body).toEqual({ status: 'ok' });
    const index = { name: 'colours', version: '1', examples: 30, sequence: 0 };
    const encoder = { name: 'mean-colour', version: '2', dimension: 3, runtime: 'onnxruntime' };
    expect(readySchema.parse((await server.ask('/readyz')).body)).toEqual({
      status: 'ready',
      index,
      encoder,
      indexes: [{ ...index, ready: true, encoder }],
    });
  });

  it('say alive but not ready while loading, while no worker runs and while stopping', async () => {
    const starting = await startTestServer({ classifier: undefined });
    const expectNotReady = async (code: string): Promise<void> => {
      const answer = await starting.ask('/readyz');
      expectProblem(answer, 503, code);
      expect(answer.headers.get('retry-after')).toBe('1');
      expect((await starting.ask('/healthz')).status).toBe(200);
    };
    await expectNotReady('not_ready');
    expectProblem(await postTo(starting, '/classify'), 503, 'not_ready');
    expectProblem(await postTo(starting, '/embed'), 503, 'not_ready');

    starting.served.classifier = createColourClassifier();
    expect((await starting.ask('/readyz')).status).toBe(200);
    starting.served.workersReady = () => false;
    await expectNotReady('not_ready');
    starting.served.workersReady = () => true;
    starting.serving.stopping = true;
    await expectNotReady('shutting_down');
    // What is accepted is still answered, and the connection not kept.
    const last = await postTo(starting, '/classify');
    expect(last.status).toBe(200);
    expect(last.headers.get('connection')).toBe('close');
    await starting.close();
  });

  it('answer while inference hangs', async () => {
    const hanging = await startTestServer({
      classifier: { ...createColourClassifier(), classify: () => new Promise(() => undefined) },
    });
    const gone = new AbortController();
    const pending = hanging
      .ask('/classify', {
        method: 'POST',
        body: green,
        headers: { 'content-type': 'image/png' },
        signal: gone.signal,
      })
      .catch(() => 'gone');
    for (const path of ['/healthz', '/readyz', '/metrics'])
      expect((await hanging.ask(path)).status).toBe(200);
    gone.abort();
    expect(await pending).toBe('gone');
    await hanging.close();
  });
});

describe('errors of the classifier', () => {
  const failing = (error: Error): Promise<TestServer> =>
    startTestServer({
      classifier: { ...createColourClassifier(), classify: () => Promise.reject(error) },
    });

  it('that are unknown are 500 internal without a detail, and logged with their stack', async () => {
    const one = await failing(new Error('boom in /home/me/model.onnx'));
    const answer = await postTo(one, '/classify');
    expect(expectProblem(answer, 500, 'internal')).toBe('undefined');
    const log = one.logged.find((line) => line.includes('boom'));
    expect(log).toMatch(/"stack":"Error: boom/);
    expect(log).toContain(String(answer.headers.get('x-request-id')));
    await one.close();
  });

  it.each([
    ['overloaded', 429],
    ['timed_out', 503],
    ['shutting_down', 503],
    ['worker_failed', 503],
  ] as const)('that are %s are %i', async (code, status) => {
    const one = await failing(new NearvoteError(code, 'Expected less but received more'));
    const answer = await postTo(one, '/classify');
    expectProblem(answer, status, code);
    expect(answer.headers.get('retry-after')).toBe('1');
    await one.close();
  });

  it('in one of many images leave the answer 200', async () => {
    const one = await failing(new Error('boom'));
    const answer = await one.ask('/classify', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ images: ['AAAA'] }),
    });
    expect(answer.status).toBe(200);
    expect(decisionsSchema.parse(answer.body).results).toMatchObject([{ error: { code: 'internal' } }]);
    expect(answer.text).not.toContain('boom');
    await one.close();
  });
});

describe('everything else', () => {
  it('is a 404 problem where no route has the path, case and slash included', async () => {
    for (const path of [
      '/nothing',
      '/Classify',
      '/classify/',
      '/docs/',
      '/docs/package.json',
      '/%ff',
      '/docs/%ff',
    ]) {
      const answer = await server.ask(path);
      expect([400, 404]).toContain(answer.status);
      expect(['not_found', 'request_malformed']).toContain(
        Reflect.get(Object(answer.body) as object, 'code'),
      );
    }
    for (const path of ['/docs/../../package.json', '/docs/..%2f..%2fpackage.json', '/docs//etc/passwd']) {
      const answer = await server.send(`GET ${path} HTTP/1.1\r\nHost: t\r\n\r\n`);
      expectProblem(answer, 404, 'not_found');
    }
  });

  it('is a 405 problem with Allow where the route has another method', async () => {
    for (const [method, path, allow] of [
      ['GET', '/classify', 'POST'],
      ['PUT', '/embed', 'POST'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['DELETE', '/docs', 'GET, HEAD'],
    ] as const) {
      const answer = await server.ask(path, { method });
      expectProblem(answer, 405, 'method_not_allowed');
      expect(answer.headers.get('allow')).toBe(allow);
    }
  });

  it('answers OPTIONS and TRACE alike on every route that is there', async () => {
    const open = await startTestServer({ adminKey: 'k'.repeat(32) });
    for (const [path, methods] of methodsByPath(allRoutes)) {
      const options = await open.ask(path, { method: 'OPTIONS' });
      expect([path, options.status, options.headers.get('allow'), options.text]).toEqual([
        path,
        204,
        methods.join(', '),
        '',
      ]);
      const trace = await open.send(`TRACE ${path} HTTP/1.1\r\nHost: t\r\n\r\n`);
      expectProblem(trace, 405, 'method_not_allowed');
    }
    await open.close();
    // Without a key the route does not exist, whatever the method; the document says so.
    for (const method of ['OPTIONS', 'TRACE', 'POST', 'GET']) {
      const hidden = await server.send(`${method} /admin/reload HTTP/1.1\r\nHost: t\r\n\r\n`);
      expectProblem(hidden, 404, 'not_found');
    }
  });

  it('answers HEAD as GET, without a body', async () => {
    for (const path of [
      '/healthz',
      '/readyz',
      '/metrics',
      '/openapi.json',
      '/docs',
      '/docs/swagger-ui.css',
    ]) {
      const answer = await server.ask(path, { method: 'HEAD' });
      expect([answer.status, answer.text]).toEqual([200, '']);
    }
    expect((await server.ask('/classify', { method: 'HEAD' })).status).toBe(405);
  });

  it('carries the headers of helmet and no name of the framework', async () => {
    const { headers } = await server.ask('/nothing');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(headers.get('x-powered-by')).toBeNull();
  });

  it('has a request id: a sane one of the client, or one of its own', async () => {
    const idFor = async (sent: string): Promise<string | null> =>
      (await server.ask('/healthz', { headers: { 'x-request-id': sent } })).headers.get('x-request-id');
    expect(await idFor('trace-1.a:b_c')).toBe('trace-1.a:b_c');
    for (const bad of ['a b', '<script>', 'x'.repeat(129), ''])
      expect(await idFor(bad)).toMatch(/^[0-9a-f-]{36}$/);
    const answer = await server.ask('/nothing', { headers: { 'x-request-id': 'mine' } });
    expect(answer.body).toMatchObject({ instance: 'mine' });
  });

  it('is logged in one line with method, route, status and time, and no bytes', async () => {
    const one = await startTestServer();
    await postTo(one, '/classify', { 'x-request-id': 'logged' });
    await one.close();
    const [line] = one.logged.map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(one.logged).toHaveLength(1);
    expect(line).toMatchObject({ requestId: 'logged', method: 'POST', route: '/classify', status: 200 });
    expect(line?.ms).toBeGreaterThan(0);
    expect(Object.keys(line ?? {}).sort()).toEqual(
      ['hostname', 'level', 'method', 'ms', 'msg', 'pid', 'requestId', 'route', 'status', 'time'].sort(),
    );
  });
});

describe('the documentation', () => {
  it('is where / leads, and asks only for files that this server has', async () => {
    const home = await server.ask('/');
    expect([home.status, home.headers.get('location')]).toEqual([302, '/docs']);
    const page = await server.ask('/docs');
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(links).toHaveLength(4);
    for (const link of links) expect((await server.ask(link)).status).toBe(200);
    // The policy allows no inline script, so the page may have none.
    expect(page.text).not.toMatch(/<script(?! src=)/);
    expect((await server.ask('/docs/initializer.js')).headers.get('content-type')).toMatch(/javascript/);
  });

  it('is an OpenAPI 3.1 document with every route, made from the schemas that validate', async () => {
    const { body } = await server.ask('/openapi.json');
    expect(body).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'nearvote', version: '1.2.3' },
      components: { schemas: { Decision: { type: 'object', additionalProperties: false }, Problem: {} } },
      paths: {
        '/classify': {
          post: {
            parameters: [
              { name: 'k', in: 'query', schema: { type: 'integer', minimum: 1 } },
              { name: 'vote' },
              { name: 'neighbours' },
              { name: 'index', required: false },
              { name: 'atLeast', required: false },
            ],
            requestBody: { content: { 'multipart/form-data': {}, 'image/*': {}, 'application/json': {} } },
          },
        },
        '/embed': { post: {} },
        '/healthz': { get: {} },
        '/readyz': { get: { responses: { 200: {}, 503: {} } } },
        '/metrics': { get: {} },
        '/openapi.json': { get: {} },
        '/docs': { get: {} },
      },
    });
  });
});
