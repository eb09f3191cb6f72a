import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import type { Request, Response } from 'express';
import type { Logger } from 'pino';

import { problemKinds, whenAnswered } from './problems.js';
import type { Metrics } from './metrics.js';
import { routeOf, routes } from './routes.js';
import { setRequestId } from './standard-headers.js';
import { whenOver } from './exchange.js';
import type { RequestTrace, Tracing } from './request-trace.js';

/** An id that a client may choose: it goes into the log and back into a header. */
const saneId = /^[A-Za-z0-9._:-]{1,128}$/;

/** Asked all the time, by machines: a trace of them is nobody's. */
const untraced: ReadonlySet<string> = new Set([routes.health.path, routes.ready.path, routes.metrics.path]);

const traces = new WeakMap<ServerResponse, RequestTrace>();

/** The trace of a request, where there is one. */
export function traceOf(res: ServerResponse): RequestTrace | undefined {
  return traces.get(res);
}

/** Gives every request its `X-Request-Id`, and when it is over one log line and its counts. */
export function createRequestRecorder(parts: {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
}): (req: Request, res: Response) => void {
  const { logger, metrics, tracing } = parts;
  const begin = (
    req: Request,
    res: Response,
    { route, requestId, startedAt }: Begun,
  ): RequestTrace | undefined => {
    if (untraced.has(route)) return undefined;
    const trace = tracing?.begin({
      ...{ route, requestId, startedAt },
      method: req.method,
      headers: req.headers,
    });
    if (trace === undefined) return undefined;
    traces.set(res, trace);
    // As the W3C's Trace Context calls the answer to traceparent.
    res.setHeader('traceresponse', trace.header);
    return trace;
  };
  return (req, res) => {
    const startedAt = performance.now();
    const sent = req.get('X-Request-Id');
    const requestId = sent !== undefined && saneId.test(sent) ? sent : randomUUID();
    setRequestId(res, requestId);
    // Now: while a router of its own answers, Express shows it the rest of the path alone.
    const route = routeOf(req.path);
    metrics.requestStarted();
    const trace = tracing === undefined ? undefined : begin(req, res, { route, requestId, startedAt });
    whenOver(req, res, () => {
      const ms = Math.max(0, whenAnswered(res) - startedAt);
      const status = res.headersSent ? res.statusCode : problemKinds.client_gone.status;
      metrics.requestEnded({ route, method: req.method, status, seconds: ms / 1000 });
      trace?.end(status);
      const line = { requestId, method: req.method, route, status, ms: Math.round(ms * 100) / 100 };
      logger.info(trace === undefined ? line : { ...line, traceId: trace.traceId }, 'request');
    });
  };
}

/** What is known of a request when it begins. */
interface Begun {
  readonly route: string;
  readonly requestId: string;
  readonly startedAt: number;
}
