import { openRawConnection, rawPost, type RawConnection } from './raw-connection.js';

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
  const { contentType, body, seconds, lostAfterMs = 30_000 } = options;
  const url = new URL(options.url);
  const dueMs = poissonArrivals(options);
  const lateMs = new Float64Array(dueMs.length);
  const latencyMs = new Float64Array(dueMs.length);
  const status = new Uint16Array(dueMs.length);
  const idle: RawConnection[] = [];
  const busy = new Map<RawConnection, number>();
  let settled = 0;
  let finish: () => void = () => undefined;
  const startedAt = Date.now();
  const start = performance.now();
  const now = (): number => performance.now() - start;

  /** The connection used last, since its caches are the warmest; a new one where all are waiting for an answer. */
  function connection(): RawConnection {
    for (let free = idle.pop(); free !== undefined; free = idle.pop()) if (free.open) return free;
    return openRawConnection(url);
  }

  function send(n: number, due: number): void {
    lateMs[n] = now() - due;
    const own = connection();
    busy.set(own, n);
    own.send(rawPost(url, contentType, body(n)), (answered) => {
      status[n] = answered;
      latencyMs[n] = now() - due;
      busy.delete(own);
      if (own.open) idle.push(own);
      if (++settled === dueMs.length) finish();
    });
  }

  const lost = setInterval(() => {
    // Closing it answers 0.
    for (const [own, n] of busy) if (now() - (dueMs[n] ?? 0) > lostAfterMs) own.close();
  }, 100);
  for (let n = 0; n < dueMs.length;) {
    for (let due = dueMs[n]; due !== undefined && due <= now(); due = dueMs[n]) send(n++, due);
    await new Promise((resolve) => setTimeout(resolve, (dueMs[n] ?? 0) - now()));
  }
  if (settled < dueMs.length) await new Promise<void>((resolve) => (finish = resolve));
  clearInterval(lost);
  for (const own of idle) own.close();
  return { seconds, dueMs, lateMs, latencyMs, status, startedAt };
}
