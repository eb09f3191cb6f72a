/* One stage on its own, in a process of its own; bench/alone.ts starts it. */
import { loadEncoder } from '../src/encoder/load.js';
import type { Encoder } from '../src/encoder/encoder.js';
import { createDecoder } from '../src/image/decode.js';
import { openSearcher } from '../src/neighbours/open-searcher.js';
import { answerParent } from './child.js';

/** How much was done, in how long, with how much CPU. */
export interface Done {
  readonly images: number;
  readonly ms: number;
  readonly cpuMs: number;
}

export type AloneRequest =
  | { readonly type: 'load'; readonly encoderDir: string; readonly threads: number }
  | { readonly type: 'encode'; readonly batch: number; readonly forMs: number }
  | {
      readonly type: 'decode';
      readonly images: readonly Uint8Array[];
      readonly atOnce: number;
      readonly forMs: number;
    }
  | { readonly type: 'search'; readonly indexDir: string; readonly k: number; readonly forMs: number };

let encoder: Encoder | undefined;

/** Runs `step`, which does some images, again and again for a while. */
async function measure(forMs: number, step: () => Promise<number>): Promise<Done> {
  await step();
  const cpu = process.cpuUsage();
  const started = performance.now();
  let images = 0;
  do images += await step();
  while (performance.now() - started < forMs);
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { images, ms, cpuMs: (user + system) / 1000 };
}

function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Math.imul(i, 2654435761) >>> 13);
}

answerParent(async (message) => {
  const job = message as AloneRequest;
  if (job.type === 'load') {
    encoder = await loadEncoder(job.encoderDir, { threads: job.threads });
    return undefined;
  }
  if (encoder === undefined) throw new Error('Expected an encoder before the first measurement');
  const one = encoder;
  const { input } = one.manifest;
  const size = input.width * input.height * 3;
  if (job.type === 'encode') {
    const pixels = noise(job.batch * size);
    return measure(job.forMs, async () => (await one.embed(pixels, job.batch)).count);
  }
  if (job.type === 'decode') {
    const decoder = createDecoder({ geometry: input.geometry });
    let next = 0;
    return measure(job.forMs, async () => {
      const some = Array.from({ length: job.atOnce }, () => job.images[next++ % job.images.length]);
      await Promise.all(some.map((bytes) => decoder.decode(bytes ?? new Uint8Array())));
      return job.atOnce;
    });
  }
  const searcher = await openSearcher({ dir: job.indexDir, mode: 'auto', threads: 1 });
  const queries = await one.embed(noise(32 * size), 32);
  return measure(job.forMs, async () => {
    await searcher.search(queries, job.k);
    return queries.count;
  });
});
