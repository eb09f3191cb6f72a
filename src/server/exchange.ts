import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { longestTimerMs } from '../domain/duration.js';

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** What is still to be told that an exchange is over. */
type Exchanges = Map<ServerResponse, (() => void)[]>;

const ofSockets = new WeakMap<Socket, Exchanges>();

/**
 * Calls back once when the answer is out or nobody is there to get it. A response that waits behind another on its
 * connection has no socket yet and would never emit `close` if that socket ended first, so both are listened to; the
 * socket once however many requests are on it.
 */
export function whenOver(req: IncomingMessage, res: ServerResponse, callback: () => void): void {
  const { socket } = req;
  if (res.closed || socket.closed) {
    process.nextTick(callback);
    return;
  }
  const exchanges = ofSockets.get(socket) ?? listenTo(socket);
  const callbacks = exchanges.get(res);
  if (callbacks !== undefined) {
    callbacks.push(callback);
    return;
  }
  exchanges.set(res, [callback]);
  res.once('close', () => end(exchanges, res));
}

/** Requests of a connection whose answers are not out yet, of those that somebody waits for the end of. */
export function unansweredOn(socket: Socket): number {
  return ofSockets.get(socket)?.size ?? 0;
}

function listenTo(socket: Socket): Exchanges {
  const exchanges: Exchanges = new Map();
  ofSockets.set(socket, exchanges);
  socket.once('close', () => {
    for (const res of exchanges.keys()) end(exchanges, res);
  });
  return exchanges;
}

function end(exchanges: Exchanges, res: ServerResponse): void {
  const callbacks = exchanges.get(res) ?? [];
  exchanges.delete(res);
  for (const callback of callbacks) callback();
}

/** However slowly it reads, a client has at most so many write timeouts for a whole answer. */
const trickleTimes = 10;

/** Ends the connection of a client that takes nothing of its answer for `stallMs`, or not all of it in ten times that. */
export function limitDelivery({ req, res }: Exchange, stallMs: number): void {
  const whole = setTimeout(() => req.socket.destroy(), Math.min(trickleTimes * stallMs, longestTimerMs));
  whenOver(req, res, () => clearTimeout(whole));
  limitStalling({ req, res }, stallMs);
}

/** Ends the connection of a client that takes nothing of its answer for `stallMs`; who reads on may take any time. */
export function limitStalling({ req, res }: Exchange, stallMs: number): void {
  // Node starts anew whenever some of it goes out, and without a listener ends the connection.
  res.setTimeout(stallMs);
  // Before Node's own listener, which sets the timeout of an idle connection.
  res.prependOnceListener('finish', () => req.socket.setTimeout(0));
}

/** As `limitDelivery`, for an answer just written: nearly every one is in the kernel's hands already. */
export function limitWritten(exchange: Exchange, stallMs: number): void {
  if (exchange.res.socket?.writableLength !== 0) limitDelivery(exchange, stallMs);
}

const withLongBodies = new WeakSet<IncomingMessage>();

/** Lets the body of a request take any time; whoever reads it sees to it that it goes on. */
export function allowLongBody(req: IncomingMessage): void {
  withLongBodies.add(req);
}

export const mayBeLong = (req: IncomingMessage): boolean => withLongBodies.has(req);
