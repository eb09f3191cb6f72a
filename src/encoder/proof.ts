import { dot } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { seededRandom, seedOf } from '../domain/seeded-random.js';
import type { Encoder } from './encoder.js';
import type { Proof } from './manifest.js';

const drawn = { seed: 1, images: 3, minCosine: 0.999 };
const whole = 32767;

/**
 * Makes the proof of an encoder from what it gives as it is open now.
 * @param minCosine how near whoever opens it must come
 * @throws as the encoder does
 */
export async function makeProof(encoder: Encoder, minCosine = drawn.minCosine): Promise<Proof> {
  const { values } = await encoder.embed(proofPixels({ ...encoder.manifest.input, ...drawn }), drawn.images);
  const bytes = Buffer.alloc(values.length * 2);
  for (const [i, value] of values.entries()) {
    bytes.writeInt16LE(Math.max(-whole, Math.min(whole, Math.round(value * whole))), i * 2);
  }
  return { ...drawn, minCosine, embeddings: bytes.toString('base64') };
}

/**
 * Runs the images of an encoder's proof, where it has one.
 * @throws NearvoteError `encoder_unsupported` when what it gives is not what was stored, `encoder_invalid` for a proof of
 * another size
 */
export async function checkProof(encoder: Encoder): Promise<void> {
  const { name, input, output, proof, source } = encoder.manifest;
  if (proof === undefined) return;
  const bytes = Buffer.from(proof.embeddings, 'base64');
  const { dimension } = output;
  if (bytes.length !== 2 * proof.images * dimension) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected ${proof.images} x ${dimension} values in the proof of encoder ${name} but received ${bytes.length / 2}`,
    );
  }
  const stored = Float32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(i * 2) / whole);
  const { values } = await encoder.embed(proofPixels({ ...input, ...proof }), proof.images);
  let least = 1;
  for (let at = 0; at < values.length; at += dimension) {
    const length = Math.sqrt(dot(stored, at, stored, at, dimension));
    least = Math.min(least, dot(values, at, stored, at, dimension) / length);
  }
  // Written so that NaN fails too.
  if (least >= proof.minCosine) return;
  const instead =
    source === undefined || !('parent' in source)
      ? ''
      : `; its float parent is ${source.parent.name} ${source.parent.version}`;
  throw new NearvoteError(
    'encoder_unsupported',
    `Expected encoder ${name} to give the embeddings of its proof, cosine at least ${proof.minCosine}, but on this processor with this runtime it gives others, cosine ${least.toFixed(4)}${instead}`,
  );
}

export interface ProofPixelsOptions {
  readonly width: number;
  readonly height: number;
  readonly images: number;
  readonly seed: number;
}

/**
 * Draws images by a formula, uint8 RGB `[images, height, width, 3]`: a slope from one colour to another each way, a disc
 * and a bar with sharp edges, and noise over all. Sums, products and comparisons alone, which are the same on every
 * machine.
 */
export function proofPixels({ width, height, images, seed }: ProofPixelsOptions): Uint8Array {
  const pixels = new Uint8Array(images * height * width * 3);
  let at = 0;
  for (let image = 0; image < images; image++) {
    const random = seededRandom(seedOf(seed, image));
    const colour = (): number[] => [random(), random(), random()].map((one) => Math.floor(one * 256));
    const [corner, across, down, disc, bar] = [colour(), colour(), colour(), colour(), colour()];
    const centre = { x: random(), y: random(), squaredRadius: (0.15 + 0.2 * random()) ** 2 };
    const barAt = random() * 0.8;
    const noise = 16 + 16 * image;
    for (let row = 0; row < height; row++) {
      const y = row / height;
      for (let column = 0; column < width; column++) {
        const x = column / width;
        const isDisc =
          (x - centre.x) * (x - centre.x) + (y - centre.y) * (y - centre.y) < centre.squaredRadius;
        const isBar = y >= barAt && y < barAt + 0.15;
        for (let c = 0; c < 3; c++) {
          const from = corner[c] ?? 0;
          const slope = from + x * ((across[c] ?? 0) - from) + y * ((down[c] ?? 0) - from);
          const plain = isDisc ? (disc[c] ?? 0) : isBar ? (bar[c] ?? 0) : slope;
          pixels[at++] = Math.max(0, Math.min(255, Math.floor(plain + noise * (random() - 0.5))));
        }
      }
    }
  }
  return pixels;
}
