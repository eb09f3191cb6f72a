import { NearvoteError } from '../../domain/errors.js';
import type { EncoderManifest } from '../../encoder/manifest.js';
import { openOnnxEncoder } from '../../encoder/onnx-runtime.js';
import type { Backbone } from './backbone.js';
import { runAdapter } from './run-adapter.js';
import type { FrozenAdapter } from './weights.js';

const tolerance = 1e-5;

export interface ProveOptions {
  readonly backbone: Pick<Backbone, 'manifest' | 'encoder'>;
  readonly adapter: FrozenAdapter;
  /** What `attachAdapter` made of both. */
  readonly model: Uint8Array;
  /** uint8 RGB `[count, height, width, 3]` */
  readonly pixels: Uint8Array;
  readonly count: number;
}

/**
 * Embeds images with the whole model, and with backbone and adapter one after the other.
 * @throws NearvoteError `encoder_unsupported` when they differ by more than 1e-5
 */
export async function proveAttached(options: ProveOptions): Promise<void> {
  const { backbone, adapter, model, pixels, count } = options;
  const { dimension } = adapter.shape;
  const manifest: EncoderManifest = {
    ...backbone.manifest,
    input: { ...backbone.manifest.input, name: 'pixels' },
    output: { name: 'embeddings', dimension },
  };
  const apart = await runAdapter(adapter, await backbone.encoder.embed(pixels, count), { threads: 1 });
  const whole = await openOnnxEncoder({ manifest, bytes: model, threads: 1 });
  try {
    const { values } = await whole.embed(pixels, count);
    const most = values.reduce(
      (max, value, i) => Math.max(max, Math.abs(value - (apart.values[i] ?? NaN))),
      0,
    );
    if (most <= tolerance) return;
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected the backbone ${backbone.manifest.name} and its adapter to embed alike in one model and one after the ` +
        `other but they differ by ${most.toPrecision(2)}`,
    );
  } finally {
    await whole.close();
  }
}
