import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { setTimeout } from 'node:timers/promises';

import { afterEach, describe, expect, it } from 'vitest';

import type { Cancellation } from '../../src/domain/cancellation.js';
import { NearvoteError } from '../../src/domain/errors.js';
import { startServer } from '../../src/server/server.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';
import { expectProblem, multipart, startTestServer, type TestServer } from './test-server.js';

let server: TestServer | undefined;
afterEach(() => server?.close());

function createDeferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: (value: T) => resolve(value) };
}

/** A classifier whose answers wait until they are let go. */
function createGatedClassifier() {
  const real = createColourClassifier();
  const gate = createDeferred<undefined>();
  const entered = createDeferred<Cancellation | undefined>();
  const classify: typeof real.classify = async (bytes, options) => {
    entered.resolve(options?.signal);
    await gate.promise;
    return real.classify(bytes, options);
  };
  return { classifier: { ...real, classify }, entered: entered.promise, open: () => gate.resolve(undefined) };
}

describe('an address', () => {
  it.each([
    ['127.0.0.1', 'that port is in use', 'EADDRINUSE'],
    ['203.0.113.7', 'no network interface has that address', 'EADDRNOTAVAIL'],
    ['no such host.invalid', 'that host name is not known', ''],
  ])(
    'that cannot be listened on is address_unavailable, naming %s and the port',
    async (host, reason, code) => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const address = other.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const starting = startServer({ app: () => undefined, host, port });
      await expect(starting).rejects.toMatchObject({
        code: 'address_unavailable',
        message: expect.stringMatching(
          new RegExp(`^Expected to listen on ${host}:${port} but ${reason}.*${code}`),
        ) as string,
      });
      other.close();
    },
  );

  it('that fails now and then, as where there is no memory for a connection, is listened on all the same', async () => {
    const errors: string[] = [];
    const listening = await startServer({
      app: ({ socket }, res) => {
        const { server: itself } = socket as unknown as { server: Server };
        for (const why of ['first', 'second']) itself.emit('error', new Error(`accept ${why}`));
        res.end();
      },
      host: '127.0.0.1',
      port: 0,
      onError: ({ message }) => errors.push(message),
    });
    expect((await fetch(listening.url)).status).toBe(200);
    expect(errors).toEqual(['accept first', 'accept second']);
    expect((await fetch(listening.url)).status).toBe(200);
    await listening.close();
  });

  it('of IPv6 is written in brackets', async () => {
    const six = await startServer({ app: (_req, res) => res.end('six'), host: '::1', port: 0 });
    expect(six.url).toBe(`http://[::1]:${six.port}`);
    expect(await (await fetch(six.url)).text()).toBe('six');
    await six.close();
  });
});

describe('past --max-connections', () => {
  it('one more is closed at once, and has its place when another has gone', async () => {
    const small = await startServer({
      app: (_req, res) => res.end('ok'),
      host: '127.0.0.1',
      port: 0,
      maxConnections: 1,
    });
    const head = 'GET / HTTP/1.1\r\nHost: t\r\n\r\n';
    const first = connect(small.port, '127.0.0.1');
    first.write(head);
    await once(first, 'data');
    const second = connect(small.port, '127.0.0.1').on('error', () => undefined);
    await once(second, 'close');
    first.write(head);
    await once(first, 'data');
    first.destroy();
    await expect.poll(async () => (await fetch(small.url).catch(() => undefined))?.status).toBe(200);
    await small.close();
  });
});

describe('bytes that never become a request', () => {
  it('are answered with a problem, and the server goes on', async () => {
    server = await startTestServer();
    expectProblem(await server.send('nonsense\r\n\r\n'), 400, 'request_malformed');
    expectProblem(await server.send('\x16\x03\x01\x02\x00\x01\x00'), 400, 'request_malformed');
    const flood = await server.send(
      'GET / HTTP/1.1\r\nHost: t\r\n',
      `X-Flood: ${'y'.repeat(100_000)}\r\n\r\n`,
    );
    expect(expectProblem(flood, 400, 'request_malformed')).toMatch(/at most 16384 bytes/);
    const both = 'Content-Length: 3\r\nTransfer-Encoding: chunked';
    const smuggled = await server.send(`POST /classify HTTP/1.1\r\nHost: t\r\n${both}\r\n\r\n0\r\n\r\n`);
    expectProblem(smuggled, 400, 'request_malformed');
    await server.expectStillServing();
  });

  it('are 400 past 200 headers, of which node would leave out the rest without a word', async () => {
    server = await startTestServer();
    const headers = (count: number): string =>
      Array.from({ length: count }, (_, i) => `A${i}: b\r\n`).join('');
    const head = 'GET /healthz HTTP/1.1\r\nHost: t\r\n';
    const taken = await server.send(`${head}${headers(199)}\r\n`);
    expect(taken.body).toEqual({ status: 'ok' });
    const refused = await server.send(`${head}${headers(200)}\r\n`);
    expect(expectProblem(refused, 400, 'request_malformed')).toContain('200 headers but received 201');
  });

  it('that come too slowly are cut off, headers and bodies alike', async () => {
    server = await startTestServer({ timeouts: { headersMs: 200, requestMs: 300, checkMs: 50 } });
    const headers = server.send('POST /classify HTTP/1.1\r\nHost: t\r\nX-Slow: ');
    const body = server.send(
      'POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nabc',
    );
    for (const answer of await Promise.all([headers, body])) {
      expect(expectProblem(answer, 400, 'request_malformed')).toMatch(/too slow/);
    }
    await server.expectStillServing();
  });
});

describe('a client that goes away', () => {
  it('while its image is classified has its work aborted and is logged as 499', async () => {
    const gated = createGatedClassifier();
    server = await startTestServer({ classifier: gated.classifier });
    const socket = connect(server.port, '127.0.0.1');
    const body = multipart([{ name: 'image', filename: 'a.png', content: await drawColour('red') }]);
    socket.write(
      `POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=edge\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    const signal = await gated.entered;
    expect(signal?.aborted).toBe(false);
    const aborted = new Promise<void>((resolve) => signal?.addEventListener('abort', resolve));
    socket.destroy();
    await aborted;
    expect(signal?.reason).toBeInstanceOf(NearvoteError);
    expect(signal?.reason).toMatchObject({ code: 'client_gone' });
    gated.open();
    await server.expectStillServing();
    expect(server.logged.some((line) => line.includes('"status":499'))).toBe(true);
  });

  it.each(['image/png', 'multipart/form-data; boundary=edge', 'application/json'])(
    'in the middle of a body of %s leaves nothing behind',
    async (type) => {
      const one = await startTestServer();
      server = one;
      const socket = connect(one.port, '127.0.0.1');
      socket.write(
        `POST /classify HTTP/1.1\r\nHost: t\r\nContent-Type: ${type}\r\nContent-Length: 5000\r\n\r\n--edge`,
      );
      await once(socket, 'connect');
      // The request has arrived when it is counted.
      await expect
        .poll(async () => (await one.ask('/metrics')).text)
        .toContain('nearvote_inflight_requests 2');
      socket.destroy();
      await expect
        .poll(async () => (await one.ask('/metrics')).text)
        .toContain('nearvote_inflight_requests 1');
      await expect
        .poll(async () => (await one.ask('/metrics')).text)
        .toContain('nearvote_rejected_total{reason="client_gone"} 1');
      await one.expectStillServing();
    },
  );
});

describe('closing', () => {
  it('answers what is in flight first, then closes kept connections and refuses new ones', async () => {
    const gated = createGatedClassifier();
    const one = await startTestServer({ classifier: gated.classifier });
    const image = await drawColour('blue');
    const pending = one.ask('/classify', {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: image,
    });
    await gated.entered;
    const closed = one.close();
    gated.open();
    const answer = await pending;
    expect(answer.body).toMatchObject({ label: 'blue' });
    await closed;
    await expect(fetch(one.url)).rejects.toThrow();
  });

  it('finishes an answer of 50 MB that its client reads, though it was ended long before', async () => {
    const bytes = 50_000_000;
    const big = await startServer({
      app: (_req, res) => res.end(Buffer.alloc(bytes)),
      host: '127.0.0.1',
      port: 0,
    });
    const socket = connect(big.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: t\r\n\r\n');
    await once(socket, 'readable');
    const closing = big.close();
    let received = 0;
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received += chunk.length;
      // Slowly, so that idle connections are closed meanwhile.
      if (received < 10_000_000) await setTimeout(5);
    }
    expect(received).toBeGreaterThan(bytes);
    await closing;
  });

  it('answers a request that is still on its way over a connection that is open', async () => {
    const one = await startTestServer();
    const socket = connect(one.port, '127.0.0.1');
    socket.write('GET /healthz HTTP/1.1\r\nHost: t\r\n');
    // Over another connection, later: by now the first is accepted.
    await one.expectStillServing();
    const closed = one.close();
    socket.write('\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 OK[^]*connection: close/i);
    await closed;
  });
});

describe('memory', () => {
  it('does not grow with bodies that are refused', async () => {
    server = await startTestServer();
    const megabyte = Buffer.alloc(1_048_576, 'x');
    const pieces = Array.from({ length: 50 }, () => megabyte);
    const head =
      'POST /classify HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n';
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 4; i++) {
      expectProblem(await server.send(head, '6400000\r\n', ...pieces), 413, 'body_too_large');
    }
    // The pieces are one buffer; four bodies kept whole would be 200 MB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
    await server.expectStillServing();
  });
});
