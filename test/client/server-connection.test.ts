import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createServerConnection } from '../../src/client/server-connection.js';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serverThat(answers: RequestListener): Promise<string> {
  server = createServer(answers).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the answer of a server', () => {
  it('is not read on where it has no end', async () => {
    let cut: (() => void) | undefined;
    const isCut = new Promise<void>((resolve) => (cut = resolve));
    const url = await serverThat((_, res) => {
      const more = (): void => {
        while (res.write(' '.repeat(1_000)));
      };
      res.on('drain', more).on('close', () => cut?.());
      more();
    });
    const connection = createServerConnection({ url, mostAnswerBytes: 100_000 });
    expect(await connection.ask('versions')).toEqual({
      kind: 'foreign',
      status: 200,
      what: 'an answer without end',
    });
    await isCut;
  });

  it('is read whole up to the longest there may be', async () => {
    const body = JSON.stringify('x'.repeat(998));
    const url = await serverThat((_, res) => res.end(body));
    const connection = createServerConnection({ url, mostAnswerBytes: 1_000 });
    expect(await connection.ask('versions')).toEqual({ kind: 'answered', body: 'x'.repeat(998) });
  });
});
