import type { Example } from '../domain/decision.js';
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

const named = 5;

/**
 * With other labels to choose from, one of two has an easier task than the other.
 * @throws NearvoteError `usage` naming the labels that only one has
 */
export function checkSameLabels(a: readonly Example[], b: readonly Example[]): void {
  const [onlyA, onlyB] = [labelsOnlyIn(a, b), labelsOnlyIn(b, a)];
  if (onlyA.length === 0 && onlyB.length === 0) return;
  throw new NearvoteError(
    'usage',
    `Expected A and B to have the same labels but only A has ${list(onlyA)}, and only B has ${list(onlyB)}`,
  );
}

/** Whether each label has as many examples in both. */
export function sameCounts(a: readonly Example[], b: readonly Example[]): boolean {
  const counts = new Map<string, number>();
  for (const { label } of a) counts.set(label, (counts.get(label) ?? 0) + 1);
  for (const { label } of b) counts.set(label, (counts.get(label) ?? 0) - 1);
  return [...counts.values()].every((count) => count === 0);
}

function labelsOnlyIn(these: readonly Example[], those: readonly Example[]): string[] {
  const others = new Set(those.map(({ label }) => label));
  return [...new Set(these.map(({ label }) => label))].filter((label) => !others.has(label)).sort();
}

function list(labels: readonly string[]): string {
  if (labels.length === 0) return 'none';
  const more = labels.length > named ? ` and ${labels.length - named} more` : '';
  return labels.slice(0, named).join(', ') + more;
}
