import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What became of a request: answered, closed without a whole answer, or neither in time. */
export type Outcome =
  | { readonly kind: 'answered'; readonly answer: RawAnswer }
  | { readonly kind: 'closed'; readonly received: string }
  | { readonly kind: 'silent'; readonly received: string };

export interface SendOptions {
  readonly port: number;
  readonly bytes: Uint8Array;
  /** HEAD has an answer without a body, whatever its Content-Length. */
  readonly method: string;
  /** After this long without an answer the client closes its side; 0 for at once, undefined for never. */
  readonly halfCloseAfterMs: number | undefined;
  readonly timeoutMs: number;
}

/** Sends the bytes over a connection of their own. */
export function sendBytes(options: SendOptions): Promise<Outcome> {
  const { port, bytes, method, halfCloseAfterMs, timeoutMs } = options;
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let received = '';
    const finish = (outcome: Outcome): void => {
      clearTimeout(silence);
      clearTimeout(quiet);
      socket.destroy();
      resolve(outcome);
    };
    const silence = setTimeout(() => finish({ kind: 'silent', received }), timeoutMs);
    let quiet: NodeJS.Timeout | undefined;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      received += text;
      const answer = parseAnswer(received, method);
      if (answer !== undefined) finish({ kind: 'answered', answer });
    });
    // An error is followed by close, and may follow an answer that is still to be read.
    socket.on('error', () => undefined);
    socket.on('end', () => finish({ kind: 'closed', received }));
    socket.on('close', () => finish({ kind: 'closed', received }));
    if (halfCloseAfterMs === 0) socket.end(bytes);
    else socket.write(bytes);
    if (halfCloseAfterMs !== undefined && halfCloseAfterMs > 0) {
      quiet = setTimeout(() => socket.end(), halfCloseAfterMs);
    }
  });
}

/** The first final answer, or undefined while it is not whole; every answer of this server tells its length. */
function parseAnswer(received: string, method: string): RawAnswer | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [statusLine = '', ...lines] = received.slice(0, end).split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const rest = received.slice(end + 4);
  if (status >= 100 && status < 200) return parseAnswer(rest, method);
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const length =
    method === 'HEAD' || status === 204
      ? 0
      : Number(headers.get('content-length') ?? Number.POSITIVE_INFINITY);
  if (rest.length < length) return undefined;
  return { status, headers, body: Buffer.from(rest.slice(0, length), 'latin1').toString() };
}
