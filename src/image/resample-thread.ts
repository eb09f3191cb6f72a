/* A thread that resamples: see resampler.ts. */
import { parentPort } from 'node:worker_threads';
import { resample } from './resample.js';
import type { ResampleReply, ResampleRequest } from './resampler.js';

parentPort?.on('message', ({ job, image, resampling }: ResampleRequest) => {
  const reply: ResampleReply = { job, pixels: resample(image, resampling) };
  parentPort?.postMessage(reply, [reply.pixels.buffer as ArrayBuffer]);
});
