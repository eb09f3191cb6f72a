import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadEncoder } from '../../src/encoder/load.js';
import { seededRandom } from '../neighbours/unit-vectors.js';

const shipped = fileURLToPath(new URL('../../models/cifar10-compact', import.meta.url));

describe('an encoder on one thread and on several', () => {
  it('embeds an image to the same bits, alone and in any batch', async () => {
    const narrow = await loadEncoder(shipped, { threads: 1 });
    const wide = await loadEncoder(shipped, { threads: 2, spinning: true });
    const random = seededRandom(3);
    const size = 32 * 32 * 3;
    const pixels = Uint8Array.from({ length: 16 * size }, () => Math.floor(random() * 256));
    const { values } = await narrow.embed(pixels, 16);
    for (const encoder of [narrow, wide]) {
      for (const count of [1, 2, 3, 4]) {
        const some = await encoder.embed(pixels.subarray(0, count * size), count);
        expect(some.values).toEqual(values.subarray(0, count * some.dimension));
      }
      await encoder.close();
    }
  });
});
