import { connect } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import type { Cancellation } from '../../src/domain/cancellation.js';
import { NearvoteError } from '../../src/domain/errors.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';
import {
  expectProblem,
  multipart,
  startTestServer,
  testLimits,
  testLoad,
  type TestServer,
} from './test-server.js';

let server: TestServer;
afterEach(() => server.close());

const red = await drawColour('red');
const png = { 'content-type': 'image/png' };

/** A classifier that answers once it is let go, or fails when told to drop the image. */
function createGated() {
  const real = createColourClassifier();
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const waiting: Cancellation[] = [];
  const classify: typeof real.classify = async (bytes, options) => {
    const signal = options?.signal;
    if (signal !== undefined) waiting.push(signal);
    await Promise.race([
      gate,
      new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(new NearvoteError('client_gone', 'left the queue'))),
      ),
    ]);
    return real.classify(bytes, options);
  };
  return { classifier: { ...real, classify }, waiting, open: () => open() };
}

async function gauge(name: string): Promise<number> {
  const { text } = await server.ask('/metrics');
  return Number(new RegExp(`^${name.replaceAll('{', '\\{')} (.+)$`, 'm').exec(text)?.[1]);
}

/** Resolves when the metrics say so: the events of this server are not visible otherwise. */
async function untilGauge(name: string, value: number): Promise<void> {
  await expect.poll(() => gauge(name), { timeout: 5000 }).toBe(value);
}

const images = 'nearvote_inflight_images';
const bytes = 'nearvote_inflight_bytes';

describe('past --max-queue', () => {
  it('a request is 429 with Retry-After before its body is read', async () => {
    const gated = createGated();
    server = await startTestServer({ classifier: gated.classifier, load: { ...testLoad, maxQueue: 2 } });
    const held = [1, 2].map(() => server.ask('/classify', { method: 'POST', headers: png, body: red }));
    await untilGauge(images, 2);
    // Announced and never sent: the answer does not wait for it.
    const answer = await server.send(
      'POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\nContent-Length: 90000\r\n\r\n',
    );
    expectProblem(answer, 429, 'overloaded');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await server.ask('/healthz')).status).toBe(200);
    gated.open();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
    expect(await gauge('nearvote_rejected_total{reason="overloaded"}')).toBe(1);
    expect(await gauge(images)).toBe(0);
    await server.expectStillServing();
  });

  it('many images are refused as a whole, and fit again when there is room', async () => {
    const gated = createGated();
    server = await startTestServer({ classifier: gated.classifier, load: { ...testLoad, maxQueue: 4 } });
    const held = [1, 2].map(() => server.ask('/classify', { method: 'POST', headers: png, body: red }));
    await untilGauge(images, 2);
    const many = multipart(['a', 'b', 'c'].map((filename) => ({ name: 'images', filename, content: red })));
    const form = { 'content-type': 'multipart/form-data; boundary=edge' };
    const json = JSON.stringify({ images: [1, 2, 3].map(() => red.toString('base64')) });
    const requests = [
      { headers: form, body: new Uint8Array(many) },
      { headers: { 'content-type': 'application/json' }, body: json },
    ];
    for (const request of requests) {
      expectProblem(await server.ask('/classify', { method: 'POST', ...request }), 429, 'overloaded');
    }
    gated.open();
    await Promise.all(held);
    for (const request of requests) {
      expect((await server.ask('/classify', { method: 'POST', ...request })).status).toBe(200);
    }
    expect(await gauge(images)).toBe(0);
  });

  it('either image route is refused before its key is looked at, and nothing else is', async () => {
    const gated = createGated();
    const load = { ...testLoad, maxQueue: 1 };
    server = await startTestServer({ classifier: gated.classifier, load, apiKeys: ['k'.repeat(32)] });
    const keyed = { ...png, 'x-api-key': 'k'.repeat(32) };
    const held = server.ask('/classify', { method: 'POST', headers: keyed, body: red });
    await untilGauge(images, 1);
    for (const path of ['/classify', '/embed', '/classify?k=bad']) {
      const refused = await server.ask(path, { method: 'POST', headers: png, body: red });
      expectProblem(refused, 429, 'overloaded');
      // Joined with a comma if it were there twice.
      expect(refused.headers.get('retry-after')).toBe('1');
    }
    expectProblem(await server.ask('/classify'), 405, 'method_not_allowed');
    expectProblem(await server.ask('/Classify', { method: 'POST', body: red }), 404, 'not_found');
    gated.open();
    expect((await held).status).toBe(200);
    const unkeyed = await server.ask('/embed', { method: 'POST', headers: png, body: red });
    expectProblem(unkeyed, 401, 'unauthorized');
    expect(await gauge('nearvote_rejected_total{reason="overloaded"}')).toBe(3);
  });

  it('more images than there are places at all are too_many_images', async () => {
    server = await startTestServer({ load: { ...testLoad, maxQueue: 2 } });
    const body = JSON.stringify({ images: [1, 2, 3].map(() => red.toString('base64')) });
    const headers = { 'content-type': 'application/json' };
    const answer = await server.ask('/classify', { method: 'POST', headers, body });
    expectProblem(answer, 413, 'too_many_images');
  });
});

describe('past --max-inflight-bytes', () => {
  // Room for the metrics, which are held too.
  const load = { ...testLoad, maxInflightBytes: 500_000 };
  const limits = { ...testLimits, maxImageBytes: 1_000_000 };
  const head = 'POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\n';

  it('an announced body is 429 at once, and the bytes of a client that went are free again', async () => {
    server = await startTestServer({ load, limits });
    const slow = connect(server.port, '127.0.0.1');
    slow.write(`${head}Content-Length: 400000\r\n\r\nx`);
    await untilGauge(bytes, 400_000);
    expectProblem(await server.send(`${head}Content-Length: 150000\r\n\r\n`), 429, 'overloaded');
    slow.destroy();
    await untilGauge(bytes, 0);
    expect(await gauge('nearvote_rejected_total{reason="client_gone"}')).toBe(1);
    await server.expectStillServing();
  });

  it('a chunked body is 429 when it has grown too far', async () => {
    server = await startTestServer({ load, limits });
    const slow = connect(server.port, '127.0.0.1');
    slow.write(`${head}Content-Length: 400000\r\n\r\nx`);
    await untilGauge(bytes, 400_000);
    const chunk = `249f0\r\n${'x'.repeat(150_000)}\r\n`;
    expectProblem(await server.send(`${head}Transfer-Encoding: chunked\r\n\r\n`, chunk), 429, 'overloaded');
    await untilGauge(bytes, 400_000);
    slow.destroy();
    await untilGauge(bytes, 0);
  });
});

describe('past --request-timeout', () => {
  const load = { ...testLoad, requestTimeout: 100 };

  it('a request is 503 and its images, one or many, are dropped', async () => {
    const gated = createGated();
    server = await startTestServer({ classifier: gated.classifier, load });
    const one = await server.ask('/classify', { method: 'POST', headers: png, body: red });
    expect(expectProblem(one, 503, 'timed_out')).toContain('100 ms');
    expect(one.headers.get('retry-after')).toBe('1');
    const many = await server.ask('/classify', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ images: [red.toString('base64'), red.toString('base64')] }),
    });
    expectProblem(many, 503, 'timed_out');
    expect(gated.waiting.map(({ aborted }) => aborted)).toEqual([true, true, true]);
    // Each request once, with its own reason.
    expect(await gauge('nearvote_rejected_total{reason="timed_out"}')).toBe(2);
    expect(await gauge('nearvote_rejected_total{reason="client_gone"}')).toBe(0);
    await untilGauge(images, 0);
  });

  it('a request whose work cannot be dropped is answered all the same, and holds its place until it ends', async () => {
    const real = createColourClassifier();
    let finish: () => void = () => undefined;
    const stuck = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const classifier = {
      ...real,
      classify: async (...ask: Parameters<typeof real.classify>) => {
        await stuck;
        return real.classify(...ask);
      },
    };
    server = await startTestServer({ classifier, load });
    const answer = await server.ask('/classify', { method: 'POST', headers: png, body: red });
    expectProblem(answer, 503, 'timed_out');
    expect(await gauge(images)).toBe(1);
    finish();
    await untilGauge(images, 0);
  });

  it.each([
    'Content-Type: image/png\r\nContent-Length: 5000\r\n\r\n\x89PNG',
    'Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n',
    'Content-Type: multipart/form-data; boundary=e\r\nContent-Length: 5000\r\n\r\n--e\r\nContent-Dispo',
  ])('a body that dribbles is 503 and frees its place: %j', async (rest) => {
    server = await startTestServer({ load });
    expectProblem(await server.send(`POST /classify HTTP/1.1\r\nHost: t\r\n${rest}`), 503, 'timed_out');
    await untilGauge(images, 0);
    await untilGauge(bytes, 0);
    await server.expectStillServing();
  });
});

describe('hundreds of failing requests', () => {
  it('leave exactly nothing held', async () => {
    server = await startTestServer();
    const form = { 'content-type': 'multipart/form-data; boundary=edge' };
    const failing: RequestInit[] = [
      { headers: png, body: 'not an image' },
      { headers: png, body: '' },
      { headers: png, body: 'x'.repeat(200_000) },
      { headers: form, body: '--edge\r\nContent-Disposition: form-data; name="im' },
      { headers: form, body: new Uint8Array(multipart([{ name: 'images', filename: 'a', content: 'bad' }])) },
      { headers: { 'content-type': 'application/json' }, body: '{"image":"AAAA"' },
      { headers: { 'content-type': 'text/plain' }, body: 'x' },
      { headers: { ...png, 'content-encoding': 'gzip' }, body: 'x' },
    ];
    for (let round = 0; round < 40; round++) {
      const gone = connect(server.port, '127.0.0.1');
      gone.end('POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\nx');
      const answers = await Promise.all(
        failing.map((init) => server.ask('/classify', { method: 'POST', ...init })),
      );
      expect(answers.every(({ status }) => status === 200 || (status >= 400 && status < 500))).toBe(true);
    }
    await untilGauge(images, 0);
    await untilGauge(bytes, 0);
    // The scrape itself is the one in flight.
    await untilGauge('nearvote_inflight_requests', 1);
    await server.expectStillServing();
  });
});
