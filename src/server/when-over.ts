import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

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
