import { startChild } from './child.js';
import { percentile } from './figures.js';
import type { Probed, ProbeRequest } from './prober.js';

const routes = ['/metrics', '/healthz', '/readyz'];

/** The latency that 99 % of the probes of each route stay under, in ms, asked 20 times a second from a process of its own. */
export async function probe(serverUrl: string, seconds: number): Promise<Record<string, number>> {
  const child = startChild('prober.ts');
  const request: ProbeRequest = { serverUrl, routes, perSecond: 20, seconds };
  try {
    const probed = (await child.ask(request)) as Probed;
    return Object.fromEntries(
      Object.entries(probed).map(([route, latencies]) => [route, percentile(latencies, 0.99)]),
    );
  } finally {
    child.stop();
  }
}
