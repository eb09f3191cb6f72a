import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadEncoder } from '../../src/encoder/load.js';
import { obeysTheContract } from '../encoder/served-contract.js';

/** Made by record.py, which lies beside it, with the recipe as it is. */
const dir = fileURLToPath(new URL('../fixtures/torch-encoder', import.meta.url));

describe('an encoder that recipes/train_supcon_torch.py wrote', () => {
  obeysTheContract(() => dir);

  it('has the manifest of an encoder for CIFAR, with its accuracy', async () => {
    const encoder = await loadEncoder(dir, { threads: 1 });
    await encoder.close();
    expect(encoder.manifest).toMatchObject({
      name: 'torch-tiny',
      input: { width: 32, height: 32, geometry: { fit: 'fill', kernel: 'cubic' } },
      output: { dimension: 24 },
      trainedOn: ['cifar10 (train)'],
      licence: 'Apache-2.0',
    });
    expect(Object.keys(encoder.manifest.metrics)).toContain('cifar10 test knn@1');
    // Of its convolutions and batch norms: 24 x 3 x 2 x 2 + 24, then three pairs of 3 x 3 with 2 x 2 norms each.
    const pair = (from: number, to: number): number => 9 * from * to + 9 * to * to + 4 * to;
    expect(encoder.manifest.metrics.parameters).toBe(312 + pair(24, 8) + pair(8, 16) + pair(16, 24));
  });

  it('computes what PyTorch computed', async () => {
    const recorded = JSON.parse(readFileSync(`${dir}/embeddings.json`, 'utf8')) as number[][];
    const pixels = Uint8Array.from({ length: 4 * 32 * 32 * 3 }, (_, i) => (37 * i) % 251);
    const encoder = await loadEncoder(dir, { threads: 1 });
    const { values } = await encoder.embed(pixels, 4);
    await encoder.close();
    const apart = recorded.flat().map((value, i) => Math.abs(value - (values[i] ?? NaN)));
    expect(Math.max(...apart)).toBeLessThan(1e-5);
  });
});
