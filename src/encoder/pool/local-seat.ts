import type { Frame } from '../../processes/frames.js';
import { openEncoder } from '../load.js';
import { encodeJob, warmUp, type WorkerSetup } from './job.js';

/** An encoder in this process, for an image that comes alone: no hop to a worker and back. */
export interface LocalSeat {
  /** 1 while it encodes. */
  readonly jobs: number;
  run(job: Frame): Promise<Frame>;
  /** When what it encodes is done. */
  close(): Promise<void>;
}

/**
 * Opens an encoder in this process. ONNX Runtime alone, on the processor: another runtime or device is held once, by the
 * workers.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`
 */
export async function openLocalSeat(
  options: Pick<WorkerSetup, 'encoderDir' | 'manifest' | 'threads' | 'providers'>,
): Promise<LocalSeat | undefined> {
  const { encoderDir: dir, manifest, threads, providers = ['cpu'] } = options;
  if (manifest.format !== 'onnx' || providers.join() !== 'cpu') return undefined;
  const encoder = await openEncoder({ dir, manifest, threads, spinning: true });
  await warmUp(encoder, 1);
  let jobs = 0;
  let last: Promise<unknown> = Promise.resolve();
  return {
    get jobs() {
      return jobs;
    },
    run: (job) => {
      jobs++;
      const reply = encodeJob(encoder, job).finally(() => jobs--);
      last = reply.catch(() => undefined);
      return reply;
    },
    close: async () => {
      await last;
      await encoder.close();
    },
  };
}
