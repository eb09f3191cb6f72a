import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadEncoder, openEncoder, readEncoderManifest } from '../../src/encoder/load.js';
import { makeProof, proofPixels } from '../../src/encoder/proof.js';
import { emptyFolder, writeManifest } from './folder.js';
import { onnxBytes } from './parity-network.js';

async function encoderFolder(changes: object = {}): Promise<string> {
  const dir = await emptyFolder();
  await writeFile(join(dir, 'encoder.onnx'), onnxBytes());
  await writeManifest(dir, ['encoder.onnx'], changes);
  return dir;
}

async function proofOf(dir: string) {
  const encoder = await loadEncoder(dir, { threads: 1 });
  return makeProof(encoder).finally(() => encoder.close());
}

describe('an encoder with a proof', () => {
  it('opens where the runtime gives what was stored', async () => {
    const proof = await proofOf(await encoderFolder());
    const encoder = await loadEncoder(await encoderFolder({ proof }), { threads: 1 });
    await encoder.close();
  });

  it('is refused where it gives something else, with the cosine and its float parent', async () => {
    const proof = await proofOf(await encoderFolder());
    const bytes = Buffer.from(proof.embeddings, 'base64');
    // A quarter turn in the plane of the first two values of the second image: what is left of the cosine is told.
    const [x, y] = [bytes.readInt16LE(10), bytes.readInt16LE(12)];
    bytes.writeInt16LE(-y, 10);
    bytes.writeInt16LE(x, 12);
    const turned = { ...proof, embeddings: bytes.toString('base64') };
    const source = { parent: { name: 'whole', version: '1.2.3', sha256: '0'.repeat(64) } };
    const expected = 1 - (x * x + y * y) / 32767 ** 2;
    const refused = await loadEncoder(await encoderFolder({ proof: turned, source }), { threads: 1 }).catch(
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ code: 'encoder_unsupported' });
    const [, cosine, parent] = /others, cosine (\S+); its float parent is (.*)$/.exec(String(refused)) ?? [];
    expect(Number(cosine)).toBeCloseTo(expected, 3);
    expect(parent).toBe('whole 1.2.3');
  });

  it('is refused where the proof is of another size', async () => {
    const proof = await proofOf(await encoderFolder());
    const dir = await encoderFolder({ proof: { ...proof, images: 2 } });
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({ code: 'encoder_invalid' });
  });

  it('is not needed: a manifest without one is valid', async () => {
    const dir = await encoderFolder();
    const manifest = await readEncoderManifest(dir);
    expect(manifest.proof).toBeUndefined();
    const encoder = await openEncoder({ dir, manifest, threads: 1 });
    await encoder.close();
  });

  it.each([
    ['no base64', { embeddings: 'not base64!' }],
    ['no images', { images: 0 }],
    ['a cosine above 1', { minCosine: 1.5 }],
    ['more than is known', { more: 1 }],
  ])('has a manifest that is refused with %s', async (_, wrong) => {
    const proof = { seed: 1, images: 1, minCosine: 0.9, embeddings: 'AAAA', ...wrong };
    await expect(readEncoderManifest(await encoderFolder({ proof }))).rejects.toMatchObject({
      code: 'encoder_invalid',
    });
  });
});

describe('the images of a proof', () => {
  const drawn = proofPixels({ width: 24, height: 16, images: 3, seed: 1 });

  it('have slopes, edges and noise: many colours, near ones beside each other, and some jumps', () => {
    expect(drawn).toHaveLength(3 * 16 * 24 * 3);
    for (let image = 0; image < 3; image++) {
      const pixels = drawn.subarray(image * 16 * 24 * 3, (image + 1) * 16 * 24 * 3);
      expect(new Set(pixels).size).toBeGreaterThan(40);
      const steps = [...pixels.subarray(3)].map((value, i) => Math.abs(value - (pixels[i] ?? NaN)));
      const sorted = steps.sort((a, b) => a - b);
      expect(sorted[sorted.length >> 1]).toBeLessThan(32);
      expect(sorted.at(-1)).toBeGreaterThan(48);
    }
  });

  it('are the same for the same seed, and others for another', () => {
    expect(proofPixels({ width: 24, height: 16, images: 3, seed: 1 })).toEqual(drawn);
    expect(proofPixels({ width: 24, height: 16, images: 3, seed: 2 })).not.toEqual(drawn);
  });
});
