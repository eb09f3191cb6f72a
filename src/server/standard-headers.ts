import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import type { RequestHandler } from 'express';
import helmet from 'helmet';

const requestIds = new WeakMap<ServerResponse, string>();

export function setRequestId(res: ServerResponse, id: string): void {
  requestIds.set(res, id);
}

/** The id that the request recorder gave. */
export function requestIdOf(res: ServerResponse): string {
  return requestIds.get(res) ?? 'unknown';
}

let made: readonly string[] | undefined;

/**
 * helmet for an API that may stand behind a proxy: whether to force https is the proxy's to say. Its headers are the
 * same for every answer, so they are made once.
 */
function secureHeaders(): readonly string[] {
  if (made !== undefined) return made;
  const sample = new ServerResponse(new IncomingMessage(new Socket()));
  helmet({
    strictTransportSecurity: false,
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  })(sample.req, sample, () => undefined);
  made ??= sample.getHeaderNames().flatMap((name) => [name, String(sample.getHeader(name))]);
  return made;
}

/** What every answer carries, as name, value, name, value: `writeHead` takes them so at a third of the cost. */
export function standardHeaders(res: ServerResponse): string[] {
  return [...secureHeaders(), 'X-Request-Id', requestIdOf(res)];
}

/** For routes that leave the writing of their head to Express. */
export const setStandardHeaders: RequestHandler = (_req, res, next) => {
  const headers = standardHeaders(res);
  for (let i = 0; i < headers.length; i += 2) res.setHeader(headers[i] ?? '', headers[i + 1] ?? '');
  next();
};
