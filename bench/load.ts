import { startChild } from './child.js';
import type { ClosedLoopResult } from './closed-loop.js';
import { percentile } from './figures.js';
import type { ClosedLoad, LoadTarget, OpenLoad } from './load-generator.js';
import type { OpenLoopResult } from './open-loop.js';
import type { RealServer } from './real-server.js';

/** A load generator in a process of its own. */
export interface Load {
  closed(load: Omit<ClosedLoad, 'type'>): Promise<ClosedLoopResult>;
  open(load: Omit<OpenLoad, 'type'>): Promise<OpenLoopResult>;
  stop(): void;
}

export interface LoadOptions {
  readonly server: RealServer;
  readonly contentType: string;
  readonly bodies: readonly Uint8Array[];
}

export async function startLoad({ server, contentType, bodies }: LoadOptions): Promise<Load> {
  const child = startChild('load-generator.ts');
  const target: LoadTarget = {
    type: 'target',
    url: new URL('/classify', server.url).href,
    serverPid: server.pid,
    contentType,
    bodies,
  };
  await child.ask(target);
  return {
    closed: async (load) => (await child.ask({ type: 'closed', ...load })) as ClosedLoopResult,
    open: async (load) => (await child.ask({ type: 'open', ...load })) as OpenLoopResult,
    stop: () => child.stop(),
  };
}

export interface OpenLoopSummary {
  readonly sent: number;
  /** By outcome; lost: no answer at all. */
  readonly ok: number;
  readonly tooMany: number;
  readonly serverErrors: number;
  readonly otherAnswers: number;
  readonly lost: number;
  /** 200s answered while requests were still being sent, per second of it. */
  readonly goodput: number;
  /** Of the requests answered 200. */
  readonly p50: number;
  readonly p99: number;
  /** How late the generator itself was, p99 in ms. */
  readonly lateP99: number;
}

/** Sums up the requests that were due in `[fromMs, toMs)`: all of them unless told. */
export function summarise(
  result: OpenLoopResult,
  { fromMs = 0, toMs = Infinity }: { readonly fromMs?: number; readonly toMs?: number } = {},
): OpenLoopSummary {
  const statuses: number[] = [];
  const latencies: number[] = [];
  const late: number[] = [];
  let inTime = 0;
  for (const [n, due] of result.dueMs.entries()) {
    if (due < fromMs || due >= toMs) continue;
    const status = result.status[n] ?? 0;
    const latency = result.latencyMs[n] ?? NaN;
    statuses.push(status);
    late.push(result.lateMs[n] ?? NaN);
    if (status !== 200) continue;
    latencies.push(latency);
    if (due + latency <= result.seconds * 1000) inTime++;
  }
  const count = (matches: (status: number) => boolean): number => statuses.filter(matches).length;
  return {
    sent: statuses.length,
    ok: latencies.length,
    tooMany: count((status) => status === 429),
    serverErrors: count((status) => status >= 500),
    otherAnswers: count((status) => status > 0 && status < 500 && status !== 200 && status !== 429),
    lost: count((status) => status === 0),
    goodput: (inTime * 1000) / (Math.min(toMs, result.seconds * 1000) - fromMs),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    lateP99: percentile(late, 0.99),
  };
}
