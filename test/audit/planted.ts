import type { Example } from '../../src/domain/decision.js';
import type { Embeddings } from '../../src/domain/embeddings.js';
import { seededRandom, unitRows } from '../neighbours/unit-vectors.js';

export interface Planted {
  readonly embeddings: Embeddings;
  readonly examples: readonly Example[];
  /** Rows whose label is wrong. */
  readonly flipped: ReadonlySet<number>;
  /** Pairs of an original and its copy a little off, `original-copy`; the second kind has another label. */
  readonly copies: ReadonlySet<string>;
  readonly conflicts: ReadonlySet<string>;
  /** Test images: the first few are copies of rows, named in `leaked`. */
  readonly test: {
    readonly images: readonly { id: string; label: string }[];
    readonly embeddings: Embeddings;
  };
  readonly leaked: readonly number[];
}

const dimension = 24;
const perClass = 80;
const classes = ['ant', 'bee', 'cow', 'doe', 'eel'];

/**
 * Five classes about five axes of 24, wide enough that a class has room, with 5 % of the labels flipped, ten copies
 * within their label, five across labels, and six test images that are copies of rows.
 */
export function plant(seed: number): Planted {
  const random = seededRandom(seed);
  /** Near enough to normal. */
  const noise = (): number => random() + random() + random() + random() - 2;
  const around = (axis: number): number[] =>
    Array.from({ length: dimension }, (_, i) => (i === axis ? 2 : 0) + 0.6 * noise());
  const beside = (vector: readonly number[]): number[] => vector.map((value) => value + 0.05 * noise());
  const other = (label: string): string =>
    classes[(classes.indexOf(label) + 1 + Math.floor(random() * (classes.length - 1))) % classes.length] ??
    '';

  const vectors: number[][] = [];
  const labels: string[] = [];
  for (let i = 0; i < perClass * classes.length; i++) {
    vectors.push(around(i % classes.length));
    labels.push(classes[i % classes.length] ?? '');
  }
  const size = vectors.length;
  const flipped = new Set<number>();
  while (flipped.size < size / 20) flipped.add(Math.floor(random() * size));
  for (const row of flipped) labels[row] = other(labels[row] ?? '');

  // Rows that are not flipped, so that each fault stands alone.
  const sound = Array.from({ length: size }, (_, row) => row).filter((row) => !flipped.has(row));
  const copies = new Set<string>();
  const conflicts = new Set<string>();
  for (const [i, row] of sound.slice(0, 15).entries()) {
    const label = labels[row] ?? '';
    (i < 10 ? copies : conflicts).add(`${row}-${vectors.length}`);
    vectors.push(beside(vectors[row] ?? []));
    labels.push(i < 10 ? label : other(label));
  }
  const leaked = sound.slice(20, 26);
  const fresh = Array.from({ length: 100 }, (_, i) => i % classes.length);
  return {
    embeddings: unitRows(vectors),
    examples: labels.map((label, row) => ({ id: `${row}`, label, source: `planted/${row}.png` })),
    ...{ flipped, copies, conflicts, leaked },
    test: {
      images: [
        ...leaked.map((row) => ({ id: `t${row}`, label: labels[row] ?? '' })),
        ...fresh.map((axis, i) => ({ id: `fresh${i}`, label: classes[axis] ?? '' })),
      ],
      embeddings: unitRows([...leaked.map((row) => beside(vectors[row] ?? [])), ...fresh.map(around)]),
    },
  };
}
