import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { findEncoder, resolveShipped } from '../pair.js';
import type { Example } from '../domain/decision.js';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import type { EncoderManifest } from '../encoder/manifest.js';
import type { LabelledImage } from '../image/dataset/dataset.js';
import { currentFile } from '../examples/index-store.js';
import { openLeasedIndex, type LeasedIndex } from '../examples/lease.js';
import type { EmbeddedDataset } from '../embed/embed-dataset.js';

/** One of the two that `nearvote compare` was given. */
export interface CompareSide {
  /** As it was given. */
  readonly path: string;
  readonly encoder: EncoderManifest;
  readonly encoderDir: string;
  /** Absent where an encoder was given: it is measured with `--examples`. */
  readonly index: LeasedIndex | undefined;
  /** The same for two that are the same thing, wherever they lie. */
  readonly identity: string;
}

/** Both; no build removes what they have until this is disposed of. */
export interface CompareSides extends AsyncDisposable {
  readonly sides: readonly [CompareSide, CompareSide];
}

/**
 * Opens both, before anything is embedded.
 * @throws NearvoteError `usage` when one is neither index nor encoder, when they are not of one kind, are the same thing or
 * have other labels; `index_*`, `encoder_*`
 */
export async function openSides(
  paths: readonly [string, string],
  { models, examples }: { readonly models: string; readonly examples?: string | undefined },
): Promise<CompareSides> {
  const a = await openSide(paths[0], models);
  let b: CompareSide | undefined;
  const close = async (): Promise<void> => {
    for (const side of [a, b]) await side?.index?.[Symbol.asyncDispose]();
  };
  try {
    b = await openSide(paths[1], models);
    checkSides([a, b], examples);
    return { sides: [a, b], [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function checkSides([a, b]: CompareSides['sides'], examples: string | undefined): void {
  const kindOf = ({ index }: CompareSide): string => (index === undefined ? 'encoder' : 'index');
  if (kindOf(a) !== kindOf(b)) {
    throw usage(
      `Expected two indexes or two encoders but ${a.path} is an ${kindOf(a)} and ${b.path} an ${kindOf(b)}`,
    );
  }
  if (a.identity === b.identity) {
    throw usage(`Expected two that differ but ${a.path} and ${b.path} are the same ${kindOf(a)}`);
  }
  if (a.index !== undefined && b.index !== undefined) checkSameLabels(a.index.examples, b.index.examples);
  if (a.index === undefined && examples === undefined) {
    throw usage('Expected --examples DIR, the labelled images that two encoders look the data up among');
  }
  if (a.index !== undefined && examples !== undefined) {
    throw usage(
      'Expected no --examples: an index has its own; name two encoders to measure them with others',
    );
  }
}

async function openSide(path: string, models: string): Promise<CompareSide> {
  const dir = resolveShipped(path);
  if (await exists(join(dir, currentFile))) {
    const index = await openLeasedIndex(dir);
    const { encoder, encoderDir } = await findEncoder(index, models);
    const { files } = index.manifest;
    const identity = [encoder.sha256, files['embeddings.f32'].sha256, files['examples.jsonl'].sha256].join();
    return { path, encoder, encoderDir, index, identity };
  }
  if (await exists(join(dir, 'encoder.json'))) {
    const encoder = await readEncoderManifest(dir);
    return { path, encoder, encoderDir: dir, index: undefined, identity: identityOf(encoder) };
  }
  throw usage(
    `Expected ${path} to be an index, with a file ${currentFile}, or an encoder, with a file encoder.json, but it has neither`,
  );
}

/** The same network makes other embeddings of images that are decoded in another way. */
function identityOf({ sha256, input }: EncoderManifest): string {
  return JSON.stringify([sha256, input]);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function usage(message: string): NearvoteError {
  return new NearvoteError('usage', message);
}

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
