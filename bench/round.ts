import { decodeAlone, encoderAlone, fastest, searchAlone } from './alone.js';
import { figure, type Figures } from './figures.js';
import type { Load } from './load.js';
import { probe } from './probe.js';
import type { RealServer } from './real-server.js';
import { closedFigures, openFigures } from './server-load.js';

export const connectionCounts = [1, 8, 32, 64] as const;
export const openPercents = [50, 70, 90] as const;
export const encoderBatches = [1, 2, 4, 8, 16, 32, 64] as const;

export interface RoundOptions {
  readonly encoderDir: string;
  /** The version's folder. */
  readonly indexDir: string;
  readonly images: readonly Uint8Array[];
  readonly server: RealServer;
  readonly load: Load;
  /** 1 for the whole length, 0.1 for a try. */
  readonly length: number;
  readonly seed: number;
}

/** Everything once: each stage alone, then the server in closed loops, in open loops, and overloaded. */
export async function measureRound(options: RoundOptions): Promise<Figures> {
  const { encoderDir, indexDir, images, server, load, length, seed } = options;
  const encoder = await encoderAlone({ encoderDir, batches: encoderBatches, forMs: 500 * length });
  const best = fastest(encoder);
  const decode = await decodeAlone({ encoderDir, images, forMs: 1_500 * length });
  const search = await searchAlone({ encoderDir, indexDir, forMs: 1_000 * length });
  let figures: Figures = {
    ...Object.fromEntries(
      encoder.map(({ workers, threads, batch, imagesPerSecond }) => [
        `encoder alone ${workers} x ${threads}, batch ${batch}: images/s`,
        imagesPerSecond,
      ]),
    ),
    'encoder alone: images/s': best.imagesPerSecond,
    'encoder alone: core-ms': best.coreMs,
    'decode alone: images/s': decode.imagesPerSecond,
    'decode alone: core-ms': decode.coreMs,
    'search alone: images/s': search.imagesPerSecond,
    'search alone: core-ms': search.coreMs,
  };
  const add = (more: Figures): void => {
    figures = { ...figures, ...more };
  };

  const encoderRate = best.imagesPerSecond;
  for (const connections of connectionCounts) {
    add(await closedFigures({ server, load, connections, seconds: 5 * length, encoderRate }));
  }
  const saturated = Math.max(figure(figures, 'closed 32: images/s'), figure(figures, 'closed 64: images/s'));
  add({ 'saturated: images/s': saturated });
  add(await probeFigures(options));
  // Two seconds at least, even in a try: less does not fill the queue.
  for (const percent of [...openPercents, 200]) {
    add(
      await openFigures({ load, percent, saturated, seconds: Math.max(2, 6 * length), seed: seed + percent }),
    );
  }
  return figures;
}

/** The probes' routes with nothing else to do, then under full load. */
async function probeFigures({ server, load, length }: RoundOptions): Promise<Figures> {
  const seconds = Math.max(1, 4 * length);
  const idle = await probe(server.url, seconds / 2);
  const [, busy] = await Promise.all([
    load.closed({ connections: 32, seconds: seconds + 2, warmupSeconds: 0 }),
    probe(server.url, seconds),
  ]);
  return {
    ...Object.fromEntries(Object.entries(idle).map(([route, ms]) => [`${route} idle: p99 ms`, ms])),
    ...Object.fromEntries(Object.entries(busy).map(([route, ms]) => [`${route} under load: p99 ms`, ms])),
  };
}
