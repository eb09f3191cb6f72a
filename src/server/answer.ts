import type { IncomingMessage, ServerResponse } from 'node:http';

import { problemMediaType, toProblem } from './problems.js';
import { hasBody } from './body.js';
import { requestIdOf, standardHeaders } from './standard-headers.js';
import { whenOver } from './when-over.js';

/** A refused body this small is read to its end, and the connection kept. */
const cheapBodyBytes = 64 * 1024;
/** How long a client that is still sending may take to read the refusal before its socket is closed. */
const lingerMs = 1000;
/** Statuses that tell when to come back. */
const mayRetry: ReadonlySet<number> = new Set([429, 503]);

/** A client that reads a trickle has so many times as long for the whole answer. */
const trickleTimes = 10;

interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** Ends the connection of a client that takes nothing of its answer for `stallMs`, or not all of it in ten times that. */
export function limitDelivery({ req, res }: Exchange, stallMs: number): void {
  const whole = setTimeout(() => req.socket.destroy(), trickleTimes * stallMs);
  whenOver(req, res, () => clearTimeout(whole));
  // Node starts anew whenever some of it goes out, and without a listener ends the connection.
  res.setTimeout(stallMs);
  // Before Node's own listener, which sets the timeout of an idle connection.
  res.prependOnceListener('finish', () => req.socket.setTimeout(0));
}

/** As `limitDelivery`, for an answer just written: nearly every one is in the kernel's hands already. */
export function limitWritten(exchange: Exchange, stallMs: number): void {
  if (exchange.res.socket?.writableLength !== 0) limitDelivery(exchange, stallMs);
}

const answeredAt = new WeakMap<ServerResponse, number>();

/** When the answer was handed to the socket, `performance.now()`; a refusal may linger after that. */
export function whenAnswered(res: ServerResponse): number {
  return answeredAt.get(res) ?? performance.now();
}

/** Answers with a problem document; an answer already begun is cut off instead, so that nobody takes it for whole. */
export function answerProblem({ req, res }: Exchange, error: unknown, retryAfterSeconds = 1): void {
  if (res.headersSent) {
    if (!res.writableEnded) res.destroy();
    return;
  }
  const problem = toProblem(error, requestIdOf(res));
  const text = JSON.stringify(problem);
  const headers = standardHeaders(res);
  headers.push('Content-Type', problemMediaType, 'Content-Length', String(Buffer.byteLength(text)));
  if (mayRetry.has(problem.status) && !res.hasHeader('Retry-After')) {
    headers.push('Retry-After', String(retryAfterSeconds));
  }
  const lingers = req.method !== 'HEAD' && !req.complete && hasBody(req) && !isCheap(req);
  if (lingers) headers.push('Connection', 'close');
  res.writeHead(problem.status, headers);
  if (lingers) {
    answerAndLinger(req, res, text);
    return;
  }
  res.end(text);
  if (!req.complete) req.resume();
}

function isCheap(req: IncomingMessage): boolean {
  const announced = req.headers['content-length'];
  return announced !== undefined && Number(announced) <= cheapBodyBytes && req.headers.expect === undefined;
}

/**
 * Sends the whole answer now and closes later: closing a socket with unread data resets it, and the reset can
 * overtake the answer.
 */
function answerAndLinger(req: IncomingMessage, res: ServerResponse, text: string): void {
  res.write(text);
  answeredAt.set(res, performance.now());
  const finish = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(finish, lingerMs);
  req.once('end', finish);
  req.once('close', finish);
  req.resume();
}
