import { InferenceSession, Tensor } from 'onnxruntime-node';
import { NearvoteError } from '../domain/errors.js';
import type { BothEmbeddings } from './validate.js';

/** A network with the weights of one moment, for validation. */
export interface Frozen {
  /** `pixels` is uint8 RGB `[count, size, size, 3]`. */
  embed(pixels: Uint8Array, count: number): Promise<BothEmbeddings>;
  close(): Promise<void>;
}

/** Opens a frozen model that gives `embeddings` and, of its projection head, `projections`. */
export async function openFrozen(model: Uint8Array, options: { size: number; threads: number }): Promise<Frozen> {
  const { size, threads } = options;
  const session = await InferenceSession.create(model, {
    logSeverityLevel: 3,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
  });
  return {
    embed: async (pixels, count) => {
      const outputs = await session.run({ pixels: new Tensor('uint8', pixels, [count, size, size, 3]) });
      return { features: valuesOf(outputs, 'embeddings'), projections: valuesOf(outputs, 'projections') };
    },
    close: () => session.release(),
  };
}

function valuesOf(outputs: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = outputs[name]?.data;
  if (data instanceof Float32Array) return data;
  throw new NearvoteError('internal', `Expected ${name} from the frozen network`);
}
