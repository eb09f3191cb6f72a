import { randomUUID } from 'node:crypto';

import type { Request, Response } from 'express';
import type { Logger } from 'pino';

import { problemKinds, whenAnswered } from './problems.js';
import type { Metrics } from './metrics.js';
import { routeOf } from './routes.js';
import { setRequestId } from './standard-headers.js';
import { whenOver } from './exchange.js';

/** An id that a client may choose: it goes into the log and back into a header. */
const saneId = /^[A-Za-z0-9._:-]{1,128}$/;

/** Gives every request its `X-Request-Id`, and when it is over one log line and its counts. */
export function createRequestRecorder(parts: {
  readonly logger: Logger;
  readonly metrics: Metrics;
}): (req: Request, res: Response) => void {
  const { logger, metrics } = parts;
  return (req, res) => {
    const startedAt = performance.now();
    const sent = req.get('X-Request-Id');
    const requestId = sent !== undefined && saneId.test(sent) ? sent : randomUUID();
    setRequestId(res, requestId);
    // Now: while a router of its own answers, Express shows it the rest of the path alone.
    const route = routeOf(req.path);
    metrics.requestStarted();
    whenOver(req, res, () => {
      const ms = Math.max(0, whenAnswered(res) - startedAt);
      const status = res.headersSent ? res.statusCode : problemKinds.client_gone.status;
      metrics.requestEnded({ route, method: req.method, status, seconds: ms / 1000 });
      logger.info(
        { requestId, method: req.method, route, status, ms: Math.round(ms * 100) / 100 },
        'request',
      );
    });
  };
}
