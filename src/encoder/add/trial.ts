import { messageOf, NearvoteError } from '../../domain/errors.js';
import { openSession, Tensor, type Session } from '../../onnx/session.js';

export interface TrialOptions {
  readonly width: number;
  readonly height: number;
  /** The input's name. */
  readonly pixels: string;
  readonly output: string;
  /** RGB `[height, width, 3]` each; each is run by itself. */
  readonly images: readonly Uint8Array[];
}

/**
 * Runs a model on one image at a time, before anything is known of its output.
 * @throws NearvoteError `encoder_invalid` with ONNX Runtime's own words when it does not run
 */
export async function tryImages(bytes: Uint8Array, options: TrialOptions): Promise<Tensor[]> {
  const { width, height, pixels, output, images } = options;
  let session: Session | undefined;
  try {
    session = await openSession({ model: bytes, threads: 1 });
    const results: Tensor[] = [];
    for (const image of images) {
      const input = new Tensor('uint8', image, [1, height, width, 3]);
      const result = (await session.run({ [pixels]: input }))[output];
      if (result === undefined) throw new Error(`it did not give ${output}`);
      results.push(result);
    }
    return results;
  } catch (cause) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected a model that ONNX Runtime can run on one image of ${width} x ${height} but it said: ${messageOf(cause)}`,
      { cause },
    );
  } finally {
    await session?.release();
  }
}
