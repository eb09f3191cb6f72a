import { connect, type Socket } from 'node:net';

/** A kept connection, one request at a time, written and read as bytes: an HTTP client's own work is not the server's. */
export interface RawConnection {
  /** Calls back with the status once the answer is whole, with 0 when there will be none. */
  send(request: Buffer, answered: (status: number) => void): void;
  /** False once either side has closed it. */
  readonly open: boolean;
  close(): void;
}

/** A POST as it goes over the wire. */
export function rawPost(url: URL, contentType: string, body: Uint8Array): Buffer {
  const head =
    `POST ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n` +
    `Content-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

export function openRawConnection({ hostname, port }: URL): RawConnection {
  const socket: Socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  let open = true;
  let waiting: ((status: number) => void) | undefined;
  let received = '';

  const settle = (status: number): void => {
    const answered = waiting;
    waiting = undefined;
    received = '';
    answered?.(status);
  };
  const end = (): void => {
    open = false;
    settle(0);
  };
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    const headEnd = received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = received.slice(0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (received.length < headEnd + 4 + length) return;
    if (/connection: close/i.test(head)) {
      open = false;
      socket.end();
    }
    settle(Number(head.slice(9, 12)));
  });
  socket.once('error', end);
  socket.once('close', end);
  return {
    get open() {
      return open;
    },
    send: (request, answered) => {
      waiting = answered;
      socket.write(request);
    },
    close: () => {
      open = false;
      socket.destroy();
    },
  };
}
