import { Worker } from 'node:worker_threads';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { compiledModule } from '../processes/supervised-child.js';
import { resample, resamplingWork, type Pixels, type Resampling } from './resample.js';

export interface ResampleRequest {
  readonly job: number;
  readonly image: Pixels;
  readonly resampling: Resampling;
}

export interface ResampleReply {
  readonly job: number;
  readonly pixels: Uint8Array;
}

/** More samples than this would keep the event loop for over a millisecond: a thread does it. */
const mostHere = 200_000;
/** Of multiplications: what takes more than this, a third of a second, has a thread to itself. */
const slowWork = 100_000_000;
const slowPlace = 0;
/** On one core, too: the system shares it between the slow and the rest. */
const places = [slowPlace, 1];

interface Flight {
  readonly work: number;
  readonly resolve: (pixels: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly flights: Map<number, Flight>;
}

const threads: (Thread | undefined)[] = [];
let nextJob = 0;

/**
 * `resample`, on a thread where it would keep the event loop. Threads are started when first needed, and end with the
 * process.
 * @throws NearvoteError `internal`
 */
export async function resampleAside(image: Pixels, resampling: Resampling): Promise<Uint8Array> {
  if (image.width * image.height * 3 <= mostHere) return resample(image, resampling);
  const job = nextJob++;
  const work = resamplingWork(image, resampling);
  const place = work > slowWork ? slowPlace : leastBusy();
  const { worker, flights } = (threads[place] ??= startThread(place));
  return new Promise((resolve, reject) => {
    const request: ResampleRequest = { job, image, resampling };
    // It throws where the pixels cannot be copied; only what was sent is waited for.
    worker.postMessage(request);
    flights.set(job, { work, resolve, reject });
    // Nothing but work keeps the process from ending.
    worker.ref();
  });
}

/** Where the least work waits. */
function leastBusy(): number {
  const waiting = places.map((place) =>
    [...(threads[place]?.flights.values() ?? [])].reduce((sum, { work }) => sum + work, 0),
  );
  return waiting.indexOf(Math.min(...waiting));
}

function startThread(place: number): Thread {
  const worker = new Worker(compiledModule('./resample-thread.js', import.meta.url));
  const flights = new Map<number, Flight>();
  worker.on('message', ({ job, pixels }: ResampleReply) => {
    flights.get(job)?.resolve(pixels);
    flights.delete(job);
    if (flights.size === 0) worker.unref();
  });
  worker.on('error', (cause) => {
    threads[place] = undefined;
    const error = new NearvoteError('internal', `Resampling failed: ${messageOf(cause)}`, { cause });
    for (const { reject } of flights.values()) reject(error);
  });
  return { worker, flights };
}
