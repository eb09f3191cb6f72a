import { asEmbeddings } from '../domain/embeddings.js';
import { sampleRows, seedOf } from '../domain/seeded-random.js';
import { readPublished } from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../neighbours/embedded-index.js';
import { defaultVote } from '../vote/rules.js';
import {
  learningCurves,
  shareOut,
  type CurvePoint,
  type LabelCurve,
  type CurveVote,
} from './metrics/learning-curve.js';

export interface AdviseOptions {
  /** `index/<name>`. */
  readonly root: string;
  /** How the index votes; as it does without a calibration unless told. */
  readonly vote?: CurveVote | undefined;
  readonly seed: number;
}

/** Which labels would gain most from more examples. */
export interface Advice {
  readonly version: string;
  /** Of the last change that it knows. */
  readonly sequence: number;
  /** Examples of the index. */
  readonly examples: number;
  /** Of the version's, those that the encoder was trained on: new images will do worse than the curves say. */
  readonly trainedOn: number;
  /** Of these many the curves were drawn. */
  readonly measuredOn: number;
  readonly curve: readonly CurvePoint[];
  /** The greatest gain first; `examples` is what the index has. */
  readonly labels: readonly LabelCurve[];
}

/** Examples that are compared, and products of numbers that it takes: a few seconds of one core. */
const mostExamples = 4_000;
const mostQueries = 1_000;
const mostProducts = 1.5e9;

/**
 * Draws the learning curves of an index as it is now, with the changes since its version, on a sample of its examples.
 * @throws NearvoteError `index_missing`, `index_invalid`
 */
export async function adviseIndex({ root, vote = defaultVote, seed }: AdviseOptions): Promise<Advice> {
  const published = await readPublished(root);
  const lease = await leaseVersion(root, published.version);
  try {
    const index = await openEmbeddedIndex({
      ...published,
      ...{ search: 'exact', threads: 1, access: 'read', now: () => new Date() },
    });
    try {
      const { version, manifest } = published;
      return { version, trainedOn: manifest.trainedOn ?? 0, ...adviceOf(index, vote, seed) };
    } finally {
      await index.close();
    }
  } finally {
    await lease.release();
  }
}

function adviceOf(
  index: EmbeddedIndex,
  vote: CurveVote,
  seed: number,
): Omit<Advice, 'version' | 'trainedOn'> {
  const { dimension, sequence, size } = index;
  const byLabel = new Map<string, number[]>();
  for (const position of index.positions()) {
    const { label } = index.exampleAt(position);
    const positions = byLabel.get(label);
    if (positions === undefined) byLabel.set(label, [position]);
    else positions.push(position);
  }
  const groups = [...byLabel.values()];
  const counts = groups.map(({ length }) => length);
  const shares = shareOut(counts, mostExamples);
  const sampled = groups.flatMap((positions, group) =>
    Array.from(
      sampleRows({ size: positions.length, count: shares[group] ?? 0, seed: seedOf(seed, group) }).sort(),
      (place) => positions[place] ?? -1,
    ),
  );
  const values = new Float32Array(sampled.length * dimension);
  for (const [row, position] of sampled.entries()) values.set(index.embeddingAt(position), row * dimension);
  const { all, labels } = learningCurves({
    ...{ vote, seed },
    embeddings: asEmbeddings(values, dimension),
    labels: sampled.map((position) => index.exampleAt(position).label),
    queries: Math.min(mostQueries, Math.floor(mostProducts / Math.max(1, values.length))),
  });
  return {
    ...{ sequence, examples: size, measuredOn: sampled.length, curve: all },
    labels: labels.map((label) => ({ ...label, examples: byLabel.get(label.label)?.length ?? 0 })),
  };
}
