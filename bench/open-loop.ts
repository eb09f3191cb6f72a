import { Agent, request } from 'node:http';

export interface OpenLoopOptions {
  readonly url: string;
  readonly contentType: string;
  /** The body of the nth request. */
  readonly body: (n: number) => Buffer;
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly random: () => number;
  /** A request without an answer after this long is lost. */
  readonly lostAfterMs?: number | undefined;
}

/** A row for every request, in the order in which they were due. */
export interface OpenLoopResult {
  readonly seconds: number;
  /** When it was to be sent, in ms from the start. */
  readonly dueMs: Float64Array;
  /** How much later it was sent: the generator's own fault. */
  readonly lateMs: Float64Array;
  /** From when it was to be sent until its answer was whole. */
  readonly latencyMs: Float64Array;
  /** 0 where no answer came. */
  readonly status: Uint16Array;
  /** Unix time of the start in ms, to place other events among the requests. */
  readonly startedAt: number;
}

/** Arrivals of a Poisson process, in ms from its start: the gaps between them are exponential. */
export function poissonArrivals(options: {
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly random: () => number;
}): Float64Array {
  const { ratePerSecond, seconds, random } = options;
  const arrivals: number[] = [];
  let at = 0;
  for (;;) {
    at += (-Math.log(1 - random()) * 1000) / ratePerSecond;
    if (at >= seconds * 1000) return Float64Array.from(arrivals);
    arrivals.push(at);
  }
}

/**
 * Sends each request when it is due, whatever became of those before it, and counts its latency from then: a server that
 * stalls, or a generator that is late, is charged for everyone who would have waited (no coordinated omission).
 */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { url, contentType, body, seconds, lostAfterMs = 30_000 } = options;
  const { hostname, port, pathname } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity });
  const dueMs = poissonArrivals(options);
  const lateMs = new Float64Array(dueMs.length);
  const latencyMs = new Float64Array(dueMs.length);
  const status = new Uint16Array(dueMs.length);
  const startedAt = Date.now();
  const start = performance.now();
  const now = (): number => performance.now() - start;

  function send(n: number, due: number): Promise<void> {
    lateMs[n] = now() - due;
    return new Promise((resolve) => {
      const over = (): void => {
        latencyMs[n] = now() - due;
        resolve();
      };
      const bytes = body(n);
      const sent = request(
        {
          agent,
          hostname,
          port,
          path: pathname,
          method: 'POST',
          headers: { 'content-type': contentType, 'content-length': bytes.length },
          timeout: lostAfterMs,
        },
        (response) => {
          response.resume();
          response.once('end', () => {
            status[n] = response.statusCode ?? 0;
            over();
          });
          response.once('error', over);
        },
      );
      sent.once('timeout', () => sent.destroy());
      // After an answer that came before the whole body was read an error may follow: the answer counts.
      sent.on('error', over);
      sent.end(bytes);
    });
  }

  const pending: Promise<void>[] = [];
  for (let n = 0; n < dueMs.length;) {
    for (let due = dueMs[n]; due !== undefined && due <= now(); due = dueMs[n]) pending.push(send(n++, due));
    await new Promise((resolve) => setTimeout(resolve, (dueMs[n] ?? 0) - now()));
  }
  await Promise.all(pending);
  agent.destroy();
  return { seconds, dueMs, lateMs, latencyMs, status, startedAt };
}
