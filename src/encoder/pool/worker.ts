/* The process in which images are encoded; encoder/pool/pool.ts starts it. */
import { NearvoteError } from '../../domain/errors.js';
import { answerParent } from '../../processes/child.js';
import type { Encoder } from '../encoder.js';
import { openEncoder } from '../load.js';
import {
  batchFor,
  encodeJob,
  timeImage,
  warmUp,
  type EncodeJob,
  type WorkerReady,
  type WorkerSetup,
} from './job.js';

let narrow: Encoder | undefined;
let wide: Encoder | undefined;

answerParent({
  setUp: async (words): Promise<WorkerReady> => {
    const setup = words as WorkerSetup;
    const { encoderDir: dir, manifest, threads, wideThreads, maxBatch, providers } = setup;
    narrow = await openEncoder({ dir, manifest, threads, providers });
    const imageMs = await timeImage(narrow);
    await warmUp(narrow, maxBatch ?? batchFor(imageMs));
    const { runtime, slower } = narrow;
    const ready = { imageMs, runtime, slower };
    // TensorFlow has one pool of threads a process: a second encoder would run on the same.
    const canBeWide = runtime === 'onnxruntime' && ready.imageMs > setup.quickMs;
    if (wideThreads !== undefined && canBeWide) {
      wide = await openEncoder({ dir, manifest, threads: wideThreads, spinning: true, providers });
      await warmUp(wide, 1);
    }
    return ready;
  },
  run: async (job) => {
    const encoder = (job.words as EncodeJob).wide ? (wide ?? narrow) : narrow;
    if (encoder === undefined)
      throw new NearvoteError('not_ready', 'Expected a setup before the first batch');
    return encodeJob(encoder, job);
  },
});
