import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { LabelledImage } from '../image/dataset/dataset.js';
import type { EmbeddedDataset } from './embed-dataset.js';

export interface CommonImages {
  /** Those that both have, in the order of A. */
  readonly images: readonly LabelledImage[];
  /** Of `images`, in order. */
  readonly a: Embeddings;
  readonly b: Embeddings;
  /** Those that only one could decode. */
  readonly left: number;
}

type Embedded = Pick<EmbeddedDataset, 'embeddings' | 'images'>;

/**
 * What both made of the same dataset, image by image.
 * @throws NearvoteError `dataset_invalid` when they have none in common
 */
export function commonImages(a: Embedded, b: Embedded): CommonImages {
  const rowInB = new Map(b.images.map(({ id }, row) => [id, row]));
  const pairs: { image: LabelledImage; inA: number; inB: number }[] = [];
  for (const [inA, image] of a.images.entries()) {
    const inB = rowInB.get(image.id);
    if (inB !== undefined) pairs.push({ image, inA, inB });
  }
  if (pairs.length === 0) {
    throw new NearvoteError(
      'dataset_invalid',
      'Expected an image that both A and B can decode but received none',
    );
  }
  return {
    images: pairs.map(({ image }) => image),
    a: rowsOf(
      a.embeddings,
      pairs.map(({ inA }) => inA),
    ),
    b: rowsOf(
      b.embeddings,
      pairs.map(({ inB }) => inB),
    ),
    left: a.images.length + b.images.length - 2 * pairs.length,
  };
}

function rowsOf({ dimension, values }: Embeddings, rows: readonly number[]): Embeddings {
  const chosen = new Float32Array(rows.length * dimension);
  for (const [i, row] of rows.entries()) {
    chosen.set(values.subarray(row * dimension, (row + 1) * dimension), i * dimension);
  }
  return asEmbeddings(chosen, dimension);
}
