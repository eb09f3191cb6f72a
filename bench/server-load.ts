import { setTimeout as wait } from 'node:timers/promises';
import { percentile, type Figures } from './figures.js';
import { summarise, type Load, type OpenLoopSummary } from './load.js';
import type { RealServer } from './real-server.js';
import { rise, scrape } from './scrape.js';

/** prom-client's histogram holds the time between two ticks of a timer of 10 ms: an idle loop reads 10 (perf_hooks). */
const samplingMs = 10;
const stages = ['decode', 'queue', 'encode', 'search', 'vote'] as const;

export interface ClosedPhase {
  readonly server: RealServer;
  readonly load: Load;
  readonly connections: number;
  readonly seconds: number;
  /** The encoder's own rate in the same round, images/s. */
  readonly encoderRate: number;
}

/** A closed loop, seen from both sides: what the generator counted, and what the server's metrics and CPU say. */
export async function closedFigures(phase: ClosedPhase): Promise<Figures> {
  const { server, load, connections, seconds, encoderRate } = phase;
  const warmupSeconds = Math.min(1, seconds);
  const [result, scraped] = await Promise.all([
    load.closed({ connections, seconds, warmupSeconds }),
    // Both readings under load; the first also starts prom-client's event-loop histogram anew.
    wait((warmupSeconds + seconds / 10) * 1000).then(async () => {
      const first = await scrape(server.url);
      await wait(seconds * 800);
      return [first, await scrape(server.url)] as const;
    }),
  ]);
  const rate = result.answered / result.seconds;
  const perImage = (ms: number): number => ms / result.answered;
  const mean = (name: string, labels = ''): number =>
    rise(`${name}_sum${labels}`, scraped) / rise(`${name}_count${labels}`, scraped);
  const name = `closed ${connections}`;
  return {
    [`${name}: images/s`]: rate,
    [`${name}: of the encoder alone`]: rate / encoderRate,
    [`${name}: p50 ms`]: percentile(result.latencyMs, 0.5),
    [`${name}: p99 ms`]: percentile(result.latencyMs, 0.99),
    [`${name}: not answered 200`]: result.failed,
    [`${name}: server core-ms`]: perImage(result.httpCpuMs + result.workersCpuMs),
    [`${name}: HTTP process core-ms`]: perImage(result.httpCpuMs),
    [`${name}: workers core-ms`]: perImage(result.workersCpuMs),
    [`${name}: generator core-ms`]: perImage(result.generatorCpuMs),
    [`${name}: batch`]: mean('nearvote_batch_size'),
    [`${name}: event-loop p99 ms`]: scraped[1]('nodejs_eventloop_lag_p99_seconds') * 1000 - samplingMs,
    ...Object.fromEntries(
      stages.map((stage) => [
        `${name}: ${stage} ms`,
        1000 * mean('nearvote_stage_duration_seconds', `{stage="${stage}"}`),
      ]),
    ),
  };
}

export interface OpenPhase {
  readonly load: Load;
  /** In percent of `saturated`. */
  readonly percent: number;
  /** images/s */
  readonly saturated: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Poisson arrivals at a share of the saturated rate. */
export async function openFigures({ load, percent, saturated, seconds, seed }: OpenPhase): Promise<Figures> {
  const ratePerSecond = (saturated * percent) / 100;
  const summary = summarise(await load.open({ ratePerSecond, seconds, seed }));
  return {
    [`open ${percent}: offered/s`]: summary.sent / seconds,
    [`open ${percent}: goodput ratio`]: summary.goodput / saturated,
    ...named(`open ${percent}`, summary),
  };
}

function named(name: string, summary: OpenLoopSummary): Figures {
  return {
    [`${name}: images/s`]: summary.goodput,
    [`${name}: p50 ms`]: summary.p50,
    [`${name}: p99 ms`]: summary.p99,
    [`${name}: generator late p99 ms`]: summary.lateP99,
    [`${name}: share 429`]: summary.tooMany / summary.sent,
    [`${name}: lost`]: summary.lost,
    [`${name}: 5xx`]: summary.serverErrors,
    [`${name}: other answers`]: summary.otherAnswers,
  };
}
