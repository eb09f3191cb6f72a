import { availableParallelism } from 'node:os';
import type { AloneRequest, Done } from './alone-worker.js';
import { startChild, type Child } from './child.js';

/** What a stage does on its own. */
export interface Alone {
  readonly imagesPerSecond: number;
  readonly coreMs: number;
}

export interface EncoderAlone extends Alone {
  readonly workers: number;
  readonly threads: number;
  readonly batch: number;
}

const ask = async (child: Child, request: AloneRequest): Promise<Done> => (await child.ask(request)) as Done;

/** Every way to give all cores away: 1 x 2 and 2 x 1 on two of them. */
function splits(): { workers: number; threads: number }[] {
  const cores = availableParallelism();
  const all = Array.from({ length: cores }, (_, i) => ({
    workers: i + 1,
    threads: Math.floor(cores / (i + 1)),
  }));
  return all.filter(({ workers, threads }) => workers * threads === cores);
}

/** The encoder alone at every batch and split of the cores: `workers` processes at once, their rates added. */
export async function encoderAlone(options: {
  readonly encoderDir: string;
  readonly batches: readonly number[];
  readonly forMs: number;
}): Promise<EncoderAlone[]> {
  const { encoderDir, batches, forMs } = options;
  const measured: EncoderAlone[] = [];
  for (const { workers, threads } of splits()) {
    const children = Array.from({ length: workers }, () => startChild('alone-worker.ts'));
    await Promise.all(children.map((child) => child.ask({ type: 'load', encoderDir, threads })));
    for (const batch of batches) {
      const done = await Promise.all(children.map((child) => ask(child, { type: 'encode', batch, forMs })));
      measured.push({ workers, threads, batch, ...together(done) });
    }
    for (const child of children) child.stop();
  }
  return measured;
}

export function fastest(measured: readonly EncoderAlone[]): EncoderAlone {
  const [first, ...rest] = measured;
  if (first === undefined) throw new Error('Expected at least one measurement of the encoder');
  return rest.reduce((best, one) => (one.imagesPerSecond > best.imagesPerSecond ? one : best), first);
}

/** Decoding to the encoder's input, several at once. */
export function decodeAlone(options: {
  readonly encoderDir: string;
  readonly images: readonly Uint8Array[];
  readonly forMs: number;
}): Promise<Alone> {
  const { encoderDir, images, forMs } = options;
  return inOneChild(encoderDir, { type: 'decode', images, atOnce: 8, forMs });
}

/** Searching an index version for the 20 nearest, 32 queries at once. */
export function searchAlone(options: {
  readonly encoderDir: string;
  readonly indexDir: string;
  readonly forMs: number;
}): Promise<Alone> {
  const { encoderDir, indexDir, forMs } = options;
  return inOneChild(encoderDir, { type: 'search', indexDir, k: 20, forMs });
}

async function inOneChild(encoderDir: string, request: AloneRequest): Promise<Alone> {
  const child = startChild('alone-worker.ts');
  try {
    await child.ask({ type: 'load', encoderDir, threads: 1 });
    return together([await ask(child, request)]);
  } finally {
    child.stop();
  }
}

function together(done: readonly Done[]): Alone {
  const images = done.reduce((sum, one) => sum + one.images, 0);
  return {
    imagesPerSecond: done.reduce((sum, one) => sum + (one.images * 1000) / one.ms, 0),
    coreMs: done.reduce((sum, one) => sum + one.cpuMs, 0) / images,
  };
}
