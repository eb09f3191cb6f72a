import { sampleRows } from '../domain/seeded-random.js';
import type { Example } from '../domain/decision.js';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import { answersOf } from '../evaluate/measure-accuracy.js';
import { measureClusters, measureRetrieval } from '../evaluate/measure-embeddings.js';
import { averageRetrieval } from '../evaluate/metrics/retrieval.js';
import { createExactSearcher } from '../neighbours/exact.js';
import { openSession, Tensor, type Session } from '../onnx/session.js';
import { resized } from './augment/geometry.js';
import type { DecodedImages } from './images.js';
import type { Figures } from './loop.js';

/** What images become: unit rows before the projection head and after it. */
interface BothEmbeddings {
  /** `[count, dimension]` */
  readonly features: Float32Array;
  /** `[count, 128]` */
  readonly projections: Float32Array;
}

export interface ValidateOptions {
  /** A frozen network; pixels are uint8 RGB `[count, inputSize, inputSize, 3]`. */
  readonly embed: (pixels: Uint8Array, count: number) => Promise<BothEmbeddings>;
  readonly inputSize: number;
  /** Labelled images that vote. */
  readonly references: DecodedImages;
  readonly queries: DecodedImages;
  /** At most so many of each, chosen by the seed; all unless told. */
  readonly mostReferences?: number | undefined;
  readonly mostQueries?: number | undefined;
  readonly vote: { readonly k: number; readonly temperature: number };
  readonly threads: number;
  readonly seed: number;
  readonly progress: Progress;
}

const imagesPerRun = 64;

/**
 * What the encoder is worth to its neighbours, by the metrics of `nearvote evaluate` with exact search: of the features
 * that will be served, and with `head: ` before their names of the projections that the loss saw.
 */
export async function validate(options: ValidateOptions): Promise<Figures> {
  const { references, queries, mostReferences, mostQueries, seed } = options;
  const referenceRows = sampleRows({
    size: references.count,
    count: mostReferences ?? references.count,
    seed,
  });
  const queryRows = sampleRows({ size: queries.count, count: mostQueries ?? queries.count, seed });
  const labelled = [labelsOf(references, referenceRows), labelsOf(queries, queryRows)] as const;
  const [known, asked] = [
    await embedRows(options, references, referenceRows),
    await embedRows(options, queries, queryRows),
  ];
  const figures: Record<string, number> = {};
  for (const [prefix, which] of [
    ['', 'features'],
    ['head: ', 'projections'],
  ] as const) {
    const measured = await measureEmbeddings(options, {
      references: known[which],
      queries: asked[which],
      labelled,
    });
    for (const [name, value] of Object.entries(measured)) figures[`${prefix}${name}`] = value;
  }
  return figures;
}

export interface Side {
  readonly references: Embeddings;
  readonly queries: Embeddings;
  /** Of the references and of the queries. */
  readonly labelled: readonly [readonly string[], readonly string[]];
}

/** The same of embeddings that are there. */
export async function measureEmbeddings(
  { vote, threads, seed, progress }: Pick<ValidateOptions, 'vote' | 'threads' | 'seed' | 'progress'>,
  { references, queries, labelled }: Side,
): Promise<Record<string, number>> {
  const [known, truths] = labelled;
  const examples = known.map((label, row): Example => ({ id: String(row), label, source: '' }));
  const exact = await createExactSearcher({ embeddings: references, threads });
  try {
    const { scores } = await measureRetrieval({ queries, truths, examples, exact, mostRecall: 1, progress });
    const { precisionAt1, rPrecision, mapAtR } = averageRetrieval(scores);
    const k = Math.min(vote.k, examples.length);
    const found = await exact.search(queries, k);
    const answers = answersOf({ found, examples }, k, { rule: 'softmax', temperature: vote.temperature });
    const right = answers.filter(({ label }, i) => label === truths[i]).length;
    const { ami, nmi } = measureClusters({ embeddings: queries, labels: truths, seed });
    return {
      'precision@1': precisionAt1,
      accuracy: right / truths.length,
      'R-precision': rPrecision,
      'MAP@R': mapAtR,
      AMI: ami,
      NMI: nmi,
    };
  } finally {
    await exact.close();
  }
}

function labelsOf({ labels, labelNames }: DecodedImages, rows: Int32Array): string[] {
  return Array.from(rows, (row) => labelNames[labels[row] ?? -1] ?? '');
}

/** Whole images as they are stored, brought to the input's size: what the served decoder would give, or very nearly. */
async function embedRows(
  { embed, inputSize, progress }: ValidateOptions,
  { pixels, side }: DecodedImages,
  rows: Int32Array,
): Promise<{ features: Embeddings; projections: Embeddings }> {
  const [storedBytes, inputBytes] = [side * side * 3, inputSize * inputSize * 3];
  const fit = resized(inputSize);
  const parts: BothEmbeddings[] = [];
  progress.start({ name: 'embedding', total: rows.length, unit: 'images' });
  for (let start = 0; start < rows.length; start += imagesPerRun) {
    const chunk = rows.subarray(start, start + imagesPerRun);
    const batch = new Uint8Array(chunk.length * inputBytes);
    for (const [i, row] of chunk.entries()) {
      const values = new Uint8ClampedArray(pixels, row * storedBytes, storedBytes);
      batch.set(fit({ values, width: side, height: side }, () => 0).values, i * inputBytes);
    }
    parts.push(await embed(batch, chunk.length));
    progress.advance(chunk.length);
  }
  progress.finish();
  const joined = (which: keyof BothEmbeddings): Embeddings => {
    const dimension = (parts[0]?.[which].length ?? 0) / Math.min(rows.length, imagesPerRun);
    return asEmbeddings(concat(parts.map((part) => part[which])), dimension);
  };
  return { features: joined('features'), projections: joined('projections') };
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** A network with the weights of one moment, for validation. */
export interface Frozen {
  /** `pixels` is uint8 RGB `[count, size, size, 3]`. */
  embed(pixels: Uint8Array, count: number): Promise<BothEmbeddings>;
  close(): Promise<void>;
}

export interface FrozenOptions {
  /** Frozen without the projection head and with it. */
  readonly models: { readonly features: Uint8Array; readonly projections: Uint8Array };
  /** Of the images. */
  readonly size: number;
  readonly threads: number;
}

/** Opens a network frozen with the weights of one moment, before and after its projection head. */
export async function openFrozen({ models, size, threads }: FrozenOptions): Promise<Frozen> {
  const sessions = {
    features: await openSession({ model: models.features, threads }),
    projections: await openSession({ model: models.projections, threads }),
  };
  const run = async (session: Session, pixels: Tensor): Promise<Float32Array> => {
    const { embeddings } = await session.run({ pixels });
    if (embeddings?.data instanceof Float32Array) return embeddings.data;
    throw new NearvoteError('internal', 'Expected embeddings from the frozen network');
  };
  return {
    embed: async (pixels, count) => {
      const tensor = new Tensor('uint8', pixels, [count, size, size, 3]);
      return {
        features: await run(sessions.features, tensor),
        projections: await run(sessions.projections, tensor),
      };
    },
    close: async () => {
      for (const session of Object.values(sessions)) await session.release();
    },
  };
}
