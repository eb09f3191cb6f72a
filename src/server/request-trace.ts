import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from 'pino';
import type { StageTimings } from '../classify.js';
import type { ErrorCode } from '../domain/errors.js';

/** One request, as a span that is open until its answer is out. */
export interface RequestTrace {
  /** Of the log, as hex. */
  readonly traceId: string;
  /** The span as `traceparent` writes it: what the answer says of it. */
  readonly header: string;
  /** An image was answered: its stages become spans, the last of which ends now. */
  image(timings: StageTimings, startedAt: number): void;
  /** The request, or one image of it, was answered with this code. */
  failed(code: ErrorCode): void;
  /** At most once. */
  end(status: number): void;
}

/** Spans for requests. Nothing that it does can fail a request or hold one up. */
export interface Tracing {
  begin(request: TracedRequest): RequestTrace;
  /** Sends what is left, for at most `withinMs`. */
  close(withinMs: number): Promise<void>;
}

export interface TracedRequest {
  readonly method: string;
  /** The pattern of its route. */
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
  /** `performance.now()` */
  readonly startedAt: number;
}

export interface TracingOptions {
  readonly logger: Pick<Logger, 'warn'>;
  /** Of the package. */
  readonly version: string;
}
