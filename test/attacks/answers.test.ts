import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import type { Classifier } from '../../src/classify.js';
import { createMetrics, type Metrics } from '../../src/server/metrics.js';
import { createColourClassifier, drawColour } from '../server/colour-classifier.js';
import { expectProblem, startTestServer, testLoad, type TestServer } from '../server/test-server.js';

let server: TestServer;
afterEach(() => server.close());

const red = await drawColour('red');
/** More than the buffers of both ends of a connection hold. */
const answerBytes = 12_000_000;

/** A classifier whose answers are of 12 MB: one label that long. */
function createTalkative(): Classifier {
  const real = createColourClassifier();
  return {
    ...real,
    classify: async (...ask) => {
      const classification = await real.classify(...ask);
      return {
        ...classification,
        decision: { ...classification.decision, label: 'x'.repeat(answerBytes) },
      };
    },
  };
}

async function held(): Promise<number> {
  const { text } = await server.ask('/metrics');
  return Number(/^nearvote_inflight_bytes (.+)$/m.exec(text)?.[1]);
}

const head = `POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: ${red.length}\r\n\r\n`;

/** Asks for an answer and reads nothing of it. */
async function askSilently(): Promise<{ readonly socket: Socket; readonly ended: Promise<unknown> }> {
  const socket = connect(server.port, '127.0.0.1').pause();
  const ended = new Promise((resolve) => {
    socket.once('close', resolve);
    socket.on('error', () => undefined);
  });
  await once(socket, 'connect');
  socket.write(head);
  socket.write(red);
  return { socket, ended };
}

describe('clients that never read their answers', () => {
  it('are counted while they hold them, cut off, and hold no classifier', async () => {
    const classifier = createTalkative();
    const load = { ...testLoad, writeTimeout: 2500, maxInflightBytes: 40_000_000 };
    server = await startTestServer({ classifier, load });
    const silent = [];
    for (let i = 0; i < 6; i++) silent.push(await askSilently());
    // The fourth finds no room: it is refused, in a few bytes.
    await expect.poll(held, { timeout: 10_000, interval: 20 }).toBeGreaterThan(3 * answerBytes);
    expect(await held()).toBeLessThanOrEqual(load.maxInflightBytes);
    // A reload would not have to wait for them.
    expect(await server.served.holds.none(classifier, 5000)).toBe(true);
    await expect.poll(held, { timeout: 15_000 }).toBe(0);
    for (const { socket } of silent) socket.destroy();
  });

  it('do not share their fate with one that reads slowly', async () => {
    const load = { ...testLoad, writeTimeout: 600 };
    server = await startTestServer({ classifier: createTalkative(), load });
    const { socket } = await askSilently();
    let received = 0;
    socket.on('data', (piece: Buffer) => (received += piece.length));
    // Two seconds in all, and never a pause of 600 ms.
    for (let i = 0; i < 10 && received < answerBytes; i++) {
      socket.resume();
      await once(socket, 'data');
      socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    socket.resume();
    await expect.poll(() => received, { timeout: 10_000 }).toBeGreaterThan(answerBytes);
    await expect.poll(held).toBe(0);
    socket.destroy();
  });
});

/** Metrics of 12 MB, and what the server says that it holds without asking it over HTTP. */
function createLongMetrics(): { metrics: Metrics; heldBytes: () => number } {
  let heldBytes = (): number => 0;
  const metrics: Metrics = {
    ...createMetrics(['colours']),
    text: () => Promise.resolve('x'.repeat(answerBytes)),
    watchHeld: (held) => (heldBytes = () => held().bytes),
  };
  return { metrics, heldBytes: () => heldBytes() };
}

describe('answers that no image was sent for', () => {
  it('are counted while a client does not read them, where they are metrics', async () => {
    const { metrics, heldBytes } = createLongMetrics();
    const load = { ...testLoad, writeTimeout: 2500, maxInflightBytes: 40_000_000 };
    server = await startTestServer({ metrics, load });
    const silent = [];
    for (let i = 0; i < 6; i++) {
      const socket = connect(server.port, '127.0.0.1').pause();
      socket.on('error', () => undefined);
      socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
      silent.push(socket);
    }
    await expect.poll(heldBytes, { timeout: 10_000, interval: 20 }).toBeGreaterThanOrEqual(3 * answerBytes);
    expect(heldBytes()).toBeLessThanOrEqual(load.maxInflightBytes);
    await expect.poll(heldBytes, { timeout: 15_000 }).toBe(0);
    for (const socket of silent) socket.destroy();
  });

  it('are counted where they are problems, which wait behind another answer', async () => {
    const { metrics, heldBytes } = createLongMetrics();
    const never: Classifier = {
      ...createColourClassifier(),
      classify: (_bytes, options) =>
        new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => reject(new Error('its client has gone')));
        }),
    };
    server = await startTestServer({ metrics, classifier: never });
    const { socket } = await askSilently();
    await expect.poll(heldBytes, { timeout: 5000 }).toBe(red.length);
    socket.write('GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(5));
    await expect.poll(heldBytes, { timeout: 5000 }).toBeGreaterThan(red.length + 5 * 100);
    socket.destroy();
    await expect.poll(heldBytes, { timeout: 5000 }).toBe(0);
  });
});

describe('a write timeout of days', () => {
  it('is no timer that is over at once', async () => {
    server = await startTestServer({ load: { ...testLoad, writeTimeout: 3 * 86_400_000 } });
    const warnings: string[] = [];
    const warn = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', warn);
    expect((await server.ask('/metrics')).status).toBe(200);
    process.off('warning', warn);
    // TimeoutOverflowWarning: Node waits for a millisecond instead.
    expect(warnings).toEqual([]);
  });
});

describe('a query that asks for very much', () => {
  it('is refused before its body is read', async () => {
    server = await startTestServer({ load: { ...testLoad, maxK: 20, maxNeighbours: 10 } });
    const ask = (query: string) =>
      server.ask(`/classify?${query}`, {
        method: 'POST',
        headers: { 'content-type': 'image/png' },
        body: new Uint8Array(red),
      });
    expectProblem(await ask('k=21'), 400, 'k_too_large');
    expectProblem(await ask('neighbours=11'), 400, 'query_invalid');
    expect((await ask('k=20&neighbours=10')).status).toBe(200);
  });
});
