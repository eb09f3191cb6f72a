import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import { comparedSide } from '../audit/duplicates.js';
import type { ReadPixels } from '../audit/find-duplicates.js';
import type { Progress } from '../domain/progress.js';
import { NearvoteError } from '../domain/errors.js';
import type { LabelledImage } from '../image/dataset/dataset.js';
import { createDecoder } from '../image/decode.js';
import { resizeTo } from '../image/geometry.js';

export interface PixelReaderOptions {
  /** By row. */
  readonly images: readonly LabelledImage[];
  readonly maxPixels: number;
  readonly progress: Progress;
}

/** Reads images as the small pictures that duplicates are told by; those that cannot be decoded are left out. */
export function pixelReader({ images, maxPixels, progress }: PixelReaderOptions): ReadPixels {
  const side = { width: comparedSide, height: comparedSide };
  const decoder = createDecoder({
    geometry: resizeTo({ ...side, fit: 'fill', kernel: 'linear' }),
    maxPixels,
  });
  return async (rows) => {
    // Files are read one by one ahead of the decoder, not all at once.
    const inTurn = pLimit(4 * availableParallelism());
    const pixels = new Map<number, Uint8Array>();
    progress.start({ name: 'comparing', total: rows.length, unit: 'images' });
    await Promise.all(
      rows.map((row) =>
        inTurn(async () => {
          const image = images[row];
          const decoded =
            image && (await decodeIfWhole(() => image.read().then((read) => decoder.decode(read))));
          if (decoded !== undefined) pixels.set(row, decoded);
          progress.advance(1);
        }),
      ),
    );
    progress.finish();
    return pixels;
  };
}

async function decodeIfWhole(decode: () => Promise<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof NearvoteError && error.code.startsWith('image_')) return undefined;
    throw error;
  }
}
