import { once } from 'node:events';
import { connect } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { createColourClassifier, drawColour } from '../server/colour-classifier.js';
import { expectProblem, multipart, startTestServer, type TestServer } from '../server/test-server.js';

let server: TestServer;
afterEach(async () => {
  await server.expectStillServing();
  await server.close();
});

const red = await drawColour('red');
const form = multipart([{ name: 'image', filename: 'red.png', content: red }]);
const head = (...lines: string[]): string =>
  ['POST /classify HTTP/1.1', 'Host: localhost', ...lines, '', ''].join('\r\n');
const ofForm = 'Content-Type: multipart/form-data; boundary=edge';

describe('a client that speaks oddly', () => {
  it('and sends its form a byte a chunk is answered as any other', async () => {
    server = await startTestServer();
    const pieces = Array.from(form, (byte) => Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), crlf]));
    const body = [head(ofForm, 'Transfer-Encoding: chunked'), ...pieces, '0\r\n\r\n'];
    expect((await server.send(...body)).body).toMatchObject({ label: 'red' });
  });

  it('and sends trailers has them passed over, whatever they name', async () => {
    server = await startTestServer();
    const chunk = [`${red.length.toString(16)}\r\n`, red, crlf, '0\r\n'];
    const trailers = 'Host: attacker.example\r\nContent-Encoding: gzip\r\n\r\n';
    const answer = await server.send(
      head('Content-Type: image/png', 'Transfer-Encoding: chunked', 'Trailer: Host'),
      ...chunk,
      trailers,
    );
    expect(answer.body).toMatchObject({ label: 'red' });
  });

  it('and closes its half of the connection after the request gets its answer', async () => {
    server = await startTestServer();
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.setEncoding('latin1').write(head('Content-Type: image/png', `Content-Length: ${red.length}`));
    socket.end(red);
    let received = '';
    for await (const text of socket as AsyncIterable<string>) received += text;
    expect(received).toMatch(/^HTTP\/1\.1 200 [^]*"label":"red"/);
  });

  it('and vanishes in the middle of its answer leaves nothing held', async () => {
    const real = createColourClassifier();
    const classifier: typeof real = {
      ...real,
      classify: async (...ask) => {
        const classification = await real.classify(...ask);
        const decision = { ...classification.decision, label: 'x'.repeat(12_000_000) };
        return { ...classification, decision };
      },
    };
    server = await startTestServer({ classifier });
    const socket = connect(server.port, '127.0.0.1');
    socket.write(head('Content-Type: image/png', `Content-Length: ${red.length}`));
    socket.write(red);
    await once(socket, 'data');
    socket.resetAndDestroy();
    const held = async (): Promise<string | undefined> =>
      /^nearvote_inflight_bytes (.+)$/m.exec((await server.ask('/metrics')).text)?.[1];
    await expect.poll(held, { timeout: 10_000 }).toBe('0');
    expect(await server.served.holds.none(classifier, 5_000)).toBe(true);
    server.served.classifier = real;
  });
});

const crlf = Buffer.from('\r\n');

describe('the number of headers', () => {
  it('may be 200 and no more', async () => {
    server = await startTestServer();
    const get = (count: number): string =>
      [
        'GET /healthz HTTP/1.1',
        'Host: localhost',
        ...Array.from({ length: count - 1 }, (_, i) => `X-${i}: y`),
        '',
        '',
      ].join('\r\n');
    expect((await server.send(get(200))).status).toBe(200);
    expectProblem(await server.send(get(201)), 400, 'request_malformed');
  });
});
