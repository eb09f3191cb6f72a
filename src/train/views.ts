import { Worker } from 'node:worker_threads';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { seededRandom, seedOf } from '../domain/seeded-random.js';
import { composeOperations, type Operation } from './augment/compose.js';
import { mixBatch, type MixOptions } from './augment/mix.js';
import type { DecodedImages } from './images.js';
import { placeAfter, streams, type BatchPlace, type Sampler } from './sampler.js';

export interface BatchViewsOptions {
  readonly images: Pick<DecodedImages, 'pixels' | 'side' | 'labels'>;
  readonly classes: number;
  readonly operations: readonly Operation[];
  readonly mix?: MixOptions | undefined;
  /** Of the views. */
  readonly inputSize: number;
  readonly seed: number;
}

/** Two views of each image: first one of all, then the other of all, in the same order. */
export interface ViewBatch {
  readonly place: BatchPlace;
  /** Of the batch, by number. */
  readonly images: Int32Array;
  /** uint8 RGB `[2 images, inputSize, inputSize, 3]` */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** `[2 images, classes]`; rows add up to 1 */
  readonly labels: Float32Array<ArrayBuffer>;
}

/** Makes the views of a batch: a function of the seed, the place and the images alone, whatever was made before. */
export type MakeViews = (place: BatchPlace, images: Int32Array) => ViewBatch;

const viewsOfAnImage = 2;

/** It keeps buffers between batches: one for each thread. */
export function createViewMaker(options: BatchViewsOptions): MakeViews {
  const { classes, operations, mix, inputSize, seed } = options;
  const { pixels: stored, side, labels: labelOf } = options.images;
  const all = new Uint8ClampedArray(stored);
  const augment = composeOperations(operations, inputSize);
  const [storedBytes, viewBytes] = [side * side * 3, inputSize * inputSize * 3];

  return (place, images) => {
    const views = viewsOfAnImage * images.length;
    const pixels = new Uint8Array(views * viewBytes);
    const labels = new Float32Array(views * classes);
    for (let row = 0; row < views; row++) {
      const image = images[row % images.length] ?? 0;
      // The row is the view, and tells an image apart that a batch has twice.
      const random = seededRandom(seedOf(seed, streams.view, place.epoch, place.step, image, row));
      const values = all.subarray(image * storedBytes, (image + 1) * storedBytes);
      pixels.set(augment({ values, width: side, height: side }, random).values, row * viewBytes);
      labels[row * classes + (labelOf[image] ?? 0)] = 1;
    }
    if (mix === undefined) return { place, images, pixels, labels };
    const random = seededRandom(seedOf(seed, streams.mix, place.epoch, place.step));
    const mixed = mixBatch({ pixels, labels, views, size: inputSize }, mix, random);
    return { place, images, pixels: mixed.pixels, labels: mixed.labels };
  };
}

/** To a worker. */
export interface ViewRequest {
  readonly number: number;
  readonly place: BatchPlace;
  readonly images: Int32Array;
}

/** From a worker; the buffers of `batch` are handed over, not copied. */
export type ViewReply =
  | { readonly number: number; readonly batch: ViewBatch }
  | { readonly number: number; readonly failure: string };

export interface ViewPoolOptions {
  readonly views: BatchViewsOptions;
  readonly sampler: Sampler;
  /** The first batch. */
  readonly from: BatchPlace;
  readonly workers: number;
  /** Batches that are made before they are asked for; 2 unless told. */
  readonly ahead?: number | undefined;
  /** view-worker.js beside this file unless told. */
  readonly workerFile?: URL | undefined;
}

/** Threads that make the next batches of views while the graph works on this one. */
export interface ViewPool {
  /** The batches one after another, epoch after epoch, the same whatever the number of workers. @throws NearvoteError `worker_failed` */
  next(): Promise<ViewBatch>;
  /** Ends the threads; whoever still waits for a batch is refused. */
  close(): Promise<void>;
}

interface Awaited {
  readonly promise: Promise<ViewBatch>;
  readonly resolve: (batch: ViewBatch) => void;
  readonly reject: (error: NearvoteError) => void;
}

const besideThis = new URL('./view-worker.js', import.meta.url);

export function createViewPool(options: ViewPoolOptions): ViewPool {
  const { views, sampler, workers, ahead = 2, workerFile = besideThis } = options;
  let place = options.from;
  let number = 0;
  let failure: NearvoteError | undefined;
  /** In order; those at work are also in `atWork`. */
  const queue: Awaited[] = [];
  const atWork = new Map<number, Awaited>();

  const threads = Array.from({ length: workers }, () => {
    const thread = new Worker(workerFile, { workerData: views });
    thread.on('message', onReply);
    thread.on('error', (error) => fail(messageOf(error)));
    thread.on('exit', (code) => fail(`exit code ${code}`));
    return thread;
  });

  function onReply(reply: ViewReply): void {
    if ('failure' in reply) return fail(reply.failure);
    atWork.get(reply.number)?.resolve(reply.batch);
    atWork.delete(reply.number);
  }

  /** The first failure stays: what has been made is still handed out, everything after it is refused. */
  function fail(reason: string): void {
    failWith(new NearvoteError('worker_failed', `A thread that makes views failed: ${reason}`));
  }

  function failWith(error: NearvoteError): void {
    failure ??= error;
    for (const batch of atWork.values()) batch.reject(failure);
    atWork.clear();
  }

  function request(): void {
    const awaited = awaitedBatch();
    queue.push(awaited);
    if (failure !== undefined) return awaited.reject(failure);
    atWork.set(number, awaited);
    const message: ViewRequest = { number, place, images: sampler.batch(place) };
    threads[number % threads.length]?.postMessage(message);
    number++;
    place = placeAfter(place, sampler.batchesPerEpoch);
  }

  while (queue.length < ahead) request();
  return {
    next: () => {
      request();
      // There is one: it was asked for just now at the latest.
      return queue.shift()?.promise ?? Promise.reject(new Error('Expected a batch on its way'));
    },
    close: async () => {
      failWith(new NearvoteError('shutting_down', 'The threads that make views were closed'));
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}

/** Promise.withResolvers came with Node 22. */
function awaitedBatch(): Awaited {
  let resolve: Awaited['resolve'] = () => undefined;
  let reject: Awaited['reject'] = () => undefined;
  const promise = new Promise<ViewBatch>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  // A batch that nobody takes any more may fail unheard.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
