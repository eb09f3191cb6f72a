/* The process that asks for the probes' routes while the server is busy; bench/probe.ts starts it. */
import { Agent, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { answerParent } from './child.js';

export interface ProbeRequest {
  readonly serverUrl: string;
  readonly routes: readonly string[];
  readonly perSecond: number;
  readonly seconds: number;
}

/** The latencies of each route in ms; Infinity where the answer was not 200. */
export type Probed = Readonly<Record<string, Float64Array>>;

answerParent(async (message) => {
  const { serverUrl, routes, perSecond, seconds } = message as ProbeRequest;
  const agent = new Agent({ keepAlive: true });
  const probe = async ([i, route]: [number, string]): Promise<[string, Float64Array]> => {
    const count = Math.floor(seconds * perSecond);
    const latencies = new Float64Array(count);
    const start = performance.now() + (i * 1000) / perSecond / routes.length;
    const pending: Promise<void>[] = [];
    for (let n = 0; n < count; n++) {
      const due = start + (n * 1000) / perSecond;
      await wait(Math.max(0, due - performance.now()));
      pending.push(ask(route, due).then((ms) => void (latencies[n] = ms)));
    }
    await Promise.all(pending);
    return [route, latencies];
  };

  function ask(route: string, due: number): Promise<number> {
    return new Promise((resolve) => {
      get(new URL(route, serverUrl), { agent }, (response) => {
        const ok = response.statusCode === 200;
        response.resume().once('end', () => resolve(ok ? performance.now() - due : Infinity));
      }).once('error', () => resolve(Infinity));
    });
  }

  const probed = await Promise.all([...routes.entries()].map(probe));
  agent.destroy();
  return Object.fromEntries(probed);
});
