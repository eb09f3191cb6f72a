import { NearvoteError } from '../domain/errors.js';
import { openSession, Tensor, type Session } from '../onnx/session.js';
import type { BothEmbeddings } from './validate.js';

/** A network with the weights of one moment, for validation. */
export interface Frozen {
  /** `pixels` is uint8 RGB `[count, size, size, 3]`. */
  embed(pixels: Uint8Array, count: number): Promise<BothEmbeddings>;
  close(): Promise<void>;
}

export interface FrozenOptions {
  /** Frozen without the projection head and with it. */
  readonly models: { readonly features: Uint8Array; readonly projections: Uint8Array };
  /** Of the images. */
  readonly size: number;
  readonly threads: number;
}

/** Opens a network frozen with the weights of one moment, before and after its projection head. */
export async function openFrozen({ models, size, threads }: FrozenOptions): Promise<Frozen> {
  const sessions = {
    features: await openSession({ model: models.features, threads }),
    projections: await openSession({ model: models.projections, threads }),
  };
  const run = async (session: Session, pixels: Tensor): Promise<Float32Array> => {
    const { embeddings } = await session.run({ pixels });
    if (embeddings?.data instanceof Float32Array) return embeddings.data;
    throw new NearvoteError('internal', 'Expected embeddings from the frozen network');
  };
  return {
    embed: async (pixels, count) => {
      const tensor = new Tensor('uint8', pixels, [count, size, size, 3]);
      return {
        features: await run(sessions.features, tensor),
        projections: await run(sessions.projections, tensor),
      };
    },
    close: async () => {
      for (const session of Object.values(sessions)) await session.release();
    },
  };
}
