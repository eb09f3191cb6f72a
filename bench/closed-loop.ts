import autocannon from 'autocannon';
import { processTree, type ProcessUse } from './process-tree.js';

export interface ClosedLoopOptions {
  readonly url: string;
  readonly contentType: string;
  readonly bodies: readonly Buffer[];
  readonly connections: number;
  readonly seconds: number;
  /** Left out at the start, while connections open. */
  readonly warmupSeconds: number;
  /** Whose CPU is counted, with its children's. */
  readonly serverPid: number;
}

/** All of the time after the warm-up. */
export interface ClosedLoopResult {
  readonly seconds: number;
  /** Answers with status 200. */
  readonly answered: number;
  /** Other answers, and requests without one. */
  readonly failed: number;
  readonly latencyMs: Float64Array;
  readonly httpCpuMs: number;
  readonly workersCpuMs: number;
  readonly generatorCpuMs: number;
}

/** Each connection sends its next image when the last is answered; together they go through all images in turn. */
export async function runClosedLoop(options: ClosedLoopOptions): Promise<ClosedLoopResult> {
  const { url, contentType, bodies, connections, seconds, warmupSeconds, serverPid } = options;
  const headers = { 'content-type': contentType };
  let nextClient = 0;
  let counting = false;
  let answered = 0;
  let failed = 0;
  const latencies: number[] = [];

  const done = new Promise<void>((resolve, reject) => {
    const instance = autocannon(
      {
        url,
        connections,
        duration: seconds + warmupSeconds + 1,
        timeout: 30,
        method: 'POST',
        setupClient: (client) => {
          const own = nextClient++;
          const requests = bodies.filter((_, i) => i % connections === own % connections);
          client.setRequests(requests.map((body) => ({ method: 'POST', headers, body })));
        },
      },
      (error: unknown) => (error instanceof Error ? reject(error) : resolve()),
    );
    instance.on('response', (_client, status, _bytes, ms) => {
      if (!counting) return;
      if (status === 200) {
        answered++;
        latencies.push(ms);
      } else failed++;
    });
    instance.on('reqError', () => {
      if (counting) failed++;
    });
    setTimeout(begin, warmupSeconds * 1000);
    function begin(): void {
      counting = true;
      before = reading(serverPid);
      setTimeout(() => {
        counting = false;
        after = reading(serverPid);
        instance.stop();
      }, seconds * 1000);
    }
  });
  let before = reading(serverPid);
  let after = before;
  await done;
  return {
    seconds: (after.at - before.at) / 1000,
    answered,
    failed,
    latencyMs: Float64Array.from(latencies),
    httpCpuMs: after.http - before.http,
    workersCpuMs: after.workers - before.workers,
    generatorCpuMs: after.own - before.own,
  };
}

function reading(serverPid: number): { at: number; http: number; workers: number; own: number } {
  const [http, ...workers] = processTree(serverPid);
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    http: http?.cpuMs ?? NaN,
    workers: workers.reduce((sum, { cpuMs }: ProcessUse) => sum + cpuMs, 0),
    own: (user + system) / 1000,
  };
}
