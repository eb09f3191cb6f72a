import type { BuildIndexOptions } from '../../src/build/build-index.js';
import { createDecoder } from '../../src/image/decode.js';
import { createPixelPool, pixelDataset, pixelEncoder } from './pixel-encoder.js';

/** A build of pixel images with everything but `out` set. */
export function buildOptions(
  options: Partial<BuildIndexOptions> & { readonly out: string },
): BuildIndexOptions {
  return {
    dataset: pixelDataset({ count: 60 }),
    decoder: createDecoder({ geometry: pixelEncoder.input.geometry }),
    encoder: pixelEncoder,
    pool: createPixelPool(),
    inFlight: 16,
    hnsw: { m: 16, efConstruction: 100, ef: 64, seed: 1 },
    minRecall: 0.99,
    strict: false,
    keep: 2,
    progress: { start: () => undefined, advance: () => undefined, finish: () => undefined },
    now: () => new Date(),
    ...options,
  };
}
