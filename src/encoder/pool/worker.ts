/* The process in which images are encoded; encoder/pool/pool.ts starts it. */
import { NearvoteError } from '../../domain/errors.js';
import { answerParent } from '../../processes/child.js';
import type { Encoder } from '../encoder.js';
import { openEncoder } from '../load.js';
import { packReply, type EncodeJob, type WorkerSetup } from './job.js';
import { widestBatch } from './schedule.js';

let narrow: Encoder | undefined;
let wide: Encoder | undefined;

/** The first runs allocate; they are paid here, before anybody waits. */
async function warmUp(encoder: Encoder, batches: readonly number[]): Promise<void> {
  const { width, height } = encoder.manifest.input;
  for (const count of batches) await encoder.embed(new Uint8Array(count * width * height * 3), count);
}

answerParent({
  setUp: async (words) => {
    const { encoderDir, manifest, threads, wideThreads, maxBatch, providers } = words as WorkerSetup;
    narrow = await openEncoder({ dir: encoderDir, manifest, threads, providers });
    await warmUp(narrow, [1, maxBatch]);
    if (wideThreads !== undefined) {
      wide = await openEncoder({
        dir: encoderDir,
        manifest,
        threads: wideThreads,
        spinning: true,
        providers,
      });
      await warmUp(wide, [1, Math.min(maxBatch, widestBatch)]);
    }
    return {};
  },
  run: async ({ words, parts }) => {
    const { count, wide: asWide } = words as EncodeJob;
    const encoder = asWide ? (wide ?? narrow) : narrow;
    if (encoder === undefined)
      throw new NearvoteError('not_ready', 'Expected a setup before the first batch');
    const started = performance.now();
    const pixels = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    const { values } = await encoder.embed(pixels, count);
    return packReply(values, performance.now() - started);
  },
});
