import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { percentile } from '../figures.js';
import { startLoad } from '../load.js';
import type { RealServer } from '../real-server.js';

/** What one server answered in a closed loop. */
interface Driven {
  readonly answered: number;
  /** Answers other than 200, and requests without one. */
  readonly failed: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface DriveOptions {
  readonly server: RealServer;
  readonly connections: number;
  readonly seconds: number;
}

/** The same load on whichever server: one image, again and again. */
export interface Driver {
  readonly name: string;
  drive(options: DriveOptions): Promise<Driven>;
}

const drivenSchema = z.object({
  answered: z.number(),
  failed: z.number(),
  seconds: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
});
const script = fileURLToPath(new URL('post.lua', import.meta.url));

/** wrk where it is installed, since it takes the least of the servers' cores; else the generator of `npm run bench`. */
export function createDriver(image: { readonly file: string; readonly bytes: Uint8Array }): Driver {
  return spawnSync('wrk', ['-v']).error === undefined ? wrk(image.file) : ownGenerator(image.bytes);
}

function wrk(file: string): Driver {
  return {
    name: 'wrk, one thread',
    drive: async ({ server, connections, seconds }) => {
      const { stdout } = await promisify(execFile)(
        'wrk',
        ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, new URL('/classify', server.url).href],
        { env: { ...process.env, PEER_IMAGE: file } },
      );
      return drivenSchema.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
    },
  };
}

function ownGenerator(bytes: Uint8Array): Driver {
  return {
    name: 'autocannon, in a process of its own; wrk is not installed',
    drive: async ({ server, connections, seconds }) => {
      // A connection has images of its own.
      const bodies = Array.from({ length: connections }, () => bytes);
      const load = await startLoad({ server, contentType: 'image/png', bodies });
      try {
        const { answered, failed, latencyMs, ...result } = await load.closed({
          connections,
          seconds,
          warmupSeconds: 0,
        });
        return {
          ...{ answered, failed, seconds: result.seconds },
          p50Ms: percentile(latencyMs, 0.5),
          p99Ms: percentile(latencyMs, 0.99),
        };
      } finally {
        load.stop();
      }
    },
  };
}
