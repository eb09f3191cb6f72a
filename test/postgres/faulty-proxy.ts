import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP proxy before a server, which does to connections what networks do. */
export interface FaultyProxy {
  /** The URL of the server, through the proxy. */
  readonly url: string;
  /** What becomes of bytes from the server from now on, of open connections and new ones. */
  answers: 'pass' | 'stall' | 'half';
  /** Bytes from a client that hold this are let through, and then nothing: its connection is reset. */
  resetAfter: string | undefined;
  /** Resets every open connection. */
  resetAll(): void;
  close(): Promise<void>;
}

export async function openFaultyProxy(target: string): Promise<FaultyProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let isDoomed = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes: Buffer) => {
      upstream.write(bytes);
      if (proxy.resetAfter === undefined || !bytes.includes(proxy.resetAfter)) return;
      proxy.resetAfter = undefined;
      isDoomed = true;
    });
    upstream.on('data', (bytes: Buffer) => {
      if (isDoomed) client.resetAndDestroy();
      else if (proxy.answers === 'pass') client.write(bytes);
      else if (proxy.answers === 'half') {
        client.write(bytes.subarray(0, bytes.length >> 1));
        isDoomed = true;
        client.end();
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxy: FaultyProxy = {
    url: url.href,
    answers: 'pass',
    resetAfter: undefined,
    resetAll: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
