import { setTimeout as wait } from 'node:timers/promises';
import type { RealServer } from './real-server.js';
import { rise, scrape } from './scrape.js';

/** Both in Unix ms. */
export interface Reloaded {
  readonly from: number;
  readonly to: number;
}

/** Sends SIGHUP and waits until the server has counted the reload. @throws Error where it failed or takes a minute */
export async function sendReload(server: RealServer): Promise<Reloaded> {
  const { index } = (await (await fetch(`${server.url}/readyz`)).json()) as { index: { name: string } };
  const series = (result: string): string =>
    `nearvote_index_reloads_total{index="${index.name}",result="${result}"}`;
  const before = await scrape(server.url);
  const from = Date.now();
  process.kill(server.pid, 'SIGHUP');
  while (Date.now() - from < 60_000) {
    await wait(50);
    const readings = [before, await scrape(server.url)] as const;
    if (rise(series('failed'), readings) > 0) throw new Error('the reload failed');
    if (rise(series('ok'), readings) > 0) return { from, to: Date.now() };
  }
  throw new Error('the reload was not counted within a minute');
}
