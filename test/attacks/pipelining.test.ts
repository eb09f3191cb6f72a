import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import type { Classifier } from '../../src/classify.js';
import { createColourClassifier, drawColour } from '../server/colour-classifier.js';
import { startTestServer, testLoad, type TestServer } from '../server/test-server.js';

let server: TestServer;
afterEach(() => server.close());

const red = await drawColour('red');

/** A classifier that answers only when its client has gone. */
function createPatient(): Classifier {
  const real = createColourClassifier();
  return {
    ...real,
    classify: (_bytes, options) =>
      new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(new Error('its client has gone')));
      }),
  };
}

async function gauge(name: string): Promise<number> {
  const { text } = await server.ask('/metrics');
  return Number(new RegExp(`^${name.replaceAll('{', '\\{')} (.+)$`, 'm').exec(text)?.[1]);
}

const head = (...lines: string[]): string =>
  ['POST /classify HTTP/1.1', 'Host: localhost', 'Content-Type: image/png', ...lines, '', ''].join('\r\n');

/** One connection that sends all of it and reads nothing. */
async function openSilent(...pieces: (string | Uint8Array)[]): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1').pause();
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  for (const piece of pieces) socket.write(piece);
  return socket;
}

/** Nothing of a request is left: no place, no hold, no count, no timer of it. */
async function expectNothingHeld(classifier: Classifier): Promise<void> {
  // The scrape itself is the one in flight.
  await expect.poll(() => gauge('nearvote_inflight_requests'), { timeout: 5000 }).toBe(1);
  expect(await gauge('nearvote_inflight_images')).toBe(0);
  expect(await gauge('nearvote_inflight_bytes')).toBe(0);
  expect(await server.served.holds.none(classifier, 0)).toBe(true);
}

describe('requests that share a connection, which then closes', () => {
  // An answer that waits behind another never has a socket, and so never says that it is closed.
  it('leave nothing held where both were images', async () => {
    const classifier = createPatient();
    server = await startTestServer({ classifier });
    const one = head(`Content-Length: ${red.length}`);
    const socket = await openSilent(one, red, one, red);
    await expect.poll(() => gauge('nearvote_inflight_images'), { timeout: 5000 }).toBe(2);
    socket.destroy();
    await expectNothingHeld(classifier);
    expect(server.logged.filter((line) => line.includes('"status":499'))).toHaveLength(2);
  });

  it('leave nothing held where one waited for 100 Continue and a GET came after it', async () => {
    const classifier = createPatient();
    server = await startTestServer({ classifier });
    const socket = await openSilent(
      head(`Content-Length: ${red.length}`, 'Expect: 100-continue'),
      red,
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n',
    );
    await expect.poll(() => gauge('nearvote_inflight_requests'), { timeout: 5000 }).toBe(3);
    socket.destroy();
    await expectNothingHeld(classifier);
  });

  it('leave nothing held where twelve were images, and warn of no leak', async () => {
    const classifier = createPatient();
    server = await startTestServer({ classifier });
    const warnings: string[] = [];
    const warn = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', warn);
    const one = Buffer.concat([Buffer.from(head(`Content-Length: ${red.length}`)), red]);
    const socket = await openSilent(...Array.from({ length: 12 }, () => one));
    await expect.poll(() => gauge('nearvote_inflight_images'), { timeout: 5000 }).toBe(12);
    socket.destroy();
    await expectNothingHeld(classifier);
    process.off('warning', warn);
    expect(warnings).toEqual([]);
  });
});

describe('more requests than a connection may have unanswered', () => {
  it('cut it off: one packet must not ask for a thousand answers that nobody reads', async () => {
    server = await startTestServer({ load: { ...testLoad, maxQueue: 4 } });
    const socket = await openSilent('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1600));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    await closed;
    await expect.poll(() => gauge('nearvote_inflight_requests'), { timeout: 5000 }).toBe(1);
    const { text } = await server.ask('/metrics');
    const [, answered] =
      /^nearvote_http_requests_total\{route="\/metrics",method="GET",status="200"\} (\d+)$/m.exec(text) ?? [];
    expect(Number(answered)).toBeLessThan(200);
    expect(await gauge('nearvote_rejected_total{reason="overloaded"}')).toBe(1);
  });

  it('do not count those that were answered: one connection may ask for ever', async () => {
    server = await startTestServer();
    const socket = connect(server.port, '127.0.0.1').setEncoding('latin1');
    await once(socket, 'connect');
    let received = '';
    socket.on('data', (text: string) => (received += text));
    for (let i = 1; i <= 60; i++) {
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(5));
      await expect.poll(() => received.match(/"ok"/g)?.length ?? 0, { interval: 1 }).toBe(5 * i);
    }
    socket.destroy();
  });
});
