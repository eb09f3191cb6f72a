import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';

import { NearvoteError } from '../domain/errors.js';
import { problemKinds, problemMediaType, toProblem } from './problems.js';
import { mayBeLong, whenOver } from './exchange.js';

/** How long a client may take, in milliseconds. */
export interface ServerTimeouts {
  /** For the request line and headers: a slow one is cut off before it costs anything. */
  readonly headersMs: number;
  /** For the whole request, unless its route takes a long one: 64 MB at 1 MB/s. */
  readonly requestMs: number;
  /** An idle connection is kept longer than the minute of most load balancers, or they would reuse a closed one. */
  readonly keepAliveMs: number;
  /** How often the first two are looked at. */
  readonly checkMs: number;
}

const defaultTimeouts: ServerTimeouts = {
  headersMs: 10_000,
  requestMs: 65_000,
  keepAliveMs: 65_000,
  checkMs: 2_000,
};
const maxHeaderBytes = 16 * 1024;
/** After closing, how long a request that is on its way over an open connection is waited for. */
const settleMs = 100;
/** How long a client whose connection is given up may take to read why. */
const lingerMs = 1000;

export interface StartServerOptions {
  readonly app: RequestListener;
  /** Classes of the messages that `app` is given; Node's own unless told. */
  readonly messages?: Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> | undefined;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Open connections; one more is closed at once. 10,000 unless told. */
  readonly maxConnections?: number | undefined;
  readonly timeouts?: Partial<ServerTimeouts> | undefined;
  /** Told of a connection that could not be accepted; the server goes on. */
  readonly onError?: ((error: Error) => void) | undefined;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  /** Stops accepting and resolves when every request in flight is answered, and its answer with the kernel. */
  close(): Promise<void>;
}

/** @throws NearvoteError `address_unavailable` */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const { app, host, port, messages, maxConnections = 10_000, timeouts } = options;
  const { headersMs, requestMs, keepAliveMs, checkMs } = { ...defaultTimeouts, ...timeouts };
  const server = createServer({
    ...messages,
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersMs,
    // Node's own knows no request that may take longer.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: checkMs,
    // Node's own answer would not be a problem document; the app asks for it.
    requireHostHeader: false,
  });
  // Past its own bound node leaves headers out without a word; the app refuses so many, and their bytes are bounded.
  server.maxHeadersCount = 0;
  server.maxConnections = maxConnections;
  const answers = new Map<ServerResponse, { readonly req: IncomingMessage; readonly since: number }>();
  let settled = false;
  const closeIdle = (): void => {
    // Node takes a connection for idle once its answer was ended, though most of that may wait for the client to read.
    if (![...answers.keys()].some((res) => res.writableEnded)) server.closeIdleConnections();
  };
  const handle: RequestListener = (req, res) => {
    answers.set(res, { req, since: performance.now() });
    if (!server.listening) res.setHeader('Connection', 'close');
    whenOver(req, res, () => {
      answers.delete(res);
      // A connection kept alive turns idle only after this event.
      if (settled) setImmediate(closeIdle);
    });
    app(req, res);
  };
  server.on('request', handle);
  // `100 Continue` is sent when a body is wanted, not before it was looked at.
  server.on('checkContinue', handle);
  // Any other expectation may be passed over (RFC 9110, 10.1.1); node would answer a bare 417.
  server.on('checkExpectation', handle);
  const refuse = createRefuser();
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const begun = [...answers.keys()].some((res) => res.socket === socket && res.headersSent);
    refuse(socket, begun, explain(error));
  });
  const checking = setInterval(() => {
    const latest = performance.now() - requestMs;
    for (const [res, { req, since }] of answers) {
      if (since > latest || req.complete || mayBeLong(req)) continue;
      refuse(req.socket, res.headersSent, explain({ code: 'ERR_HTTP_REQUEST_TIMEOUT' }));
    }
  }, checkMs);
  checking.unref();
  server.on('connect', (_req, socket) => {
    const error = new NearvoteError(
      'method_not_allowed',
      'Expected a request for a route but received CONNECT',
    );
    refuse(socket, false, error);
  });

  const bound = await new Promise<number>((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      reject(
        new NearvoteError(
          'address_unavailable',
          `Expected to listen on ${host}:${port} but ${reasonOf(cause)} (${cause.code ?? cause.message})`,
          { cause },
        ),
      );
    };
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail).on('error', (error) => options.onError?.(error));
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    close: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          settled = true;
          closeIdle();
        }, settleMs);
        // http's own close would at once cut every connection whose request is not parsed yet.
        NetServer.prototype.close.call(server, () => {
          clearTimeout(timer);
          clearInterval(checking);
          resolve();
        });
      }),
  };
}

function reasonOf({ code }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'that port is in use; --port names another';
    case 'EACCES':
      return 'this user may not use that port';
    case 'EADDRNOTAVAIL':
      return 'no network interface has that address';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'that host name is not known';
    default:
      return 'that address cannot be used';
  }
}

/** What is wrong with bytes that never became a request, or a body that broke off. */
function explain({ code }: Pick<NodeJS.ErrnoException, 'code'>): NearvoteError {
  const what =
    code === 'HPE_HEADER_OVERFLOW'
      ? `Expected headers of at most ${maxHeaderBytes} bytes but received more`
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'Expected the whole request in time but it was too slow'
        : 'Expected a well-formed HTTP request';
  return new NearvoteError('request_malformed', what);
}

/** Answers on the bare socket, where no answer has begun, and closes it when the client had time to read that. */
function createRefuser(): (socket: Duplex, begun: boolean, error: NearvoteError) => void {
  const refused = new WeakSet<Duplex>();
  return (socket, begun, error) => {
    // Each further piece of what was refused fails again; closing on unread data would reset the answer away.
    if (refused.has(socket)) return;
    refused.add(socket);
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(timer));
    // Errors of a socket that is being given up are nobody's.
    socket.on('error', () => undefined);
    socket.end(begun ? '' : refusal(error));
  };
}

function refusal(error: NearvoteError): string {
  const body = JSON.stringify(toProblem(error, 'unknown'));
  const { status } = problemKinds[error.code];
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Content-Type: ${problemMediaType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
