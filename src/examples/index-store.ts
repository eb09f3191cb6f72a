import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import type { Example } from '../domain/decision.js';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import { digestFile, type FileDigest } from '../files/digest.js';
import { readExamplesFile } from './examples-file.js';

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const fileSchema = z.strictObject({ sha256: sha256Schema, bytes: z.int().min(0) });

/** `index/<name>/<version>/manifest.json`. */
export const indexManifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  encoder: z.strictObject({
    name: z.string().min(1),
    version: z.string().min(1),
    /** Of the model file. */
    sha256: sha256Schema,
    /** Of all that decides an embedding, the geometry too; absent from what older versions of nearvote built. */
    digest: sha256Schema.optional(),
    /** Where its folder was when the index was built, from the index's own: a hint, the hash decides. */
    path: z.string().min(1).optional(),
  }),
  dataset: z.string(),
  dimension: z.int().min(1),
  space: z.literal('ip'),
  m: z.int().min(2),
  efConstruction: z.int().min(1),
  ef: z.int().min(1),
  seed: z.int().min(0),
  /** 0 of one that is yet to be taught. */
  examples: z.int().min(0),
  /** A list and not an object: a label may be `__proto__`. */
  labels: z.array(z.strictObject({ label: z.string(), examples: z.int().min(1) })),
  /** Examples that the encoder was trained on, as far as it could tell; older versions of nearvote did not ask it. */
  trainedOn: z.int().min(0).optional(),
  createdAt: z.iso.datetime(),
  /** Of the last change that is in it, or was left out of it on purpose; 0 where there is none. */
  sequence: z.int().min(0).optional(),
  /** The versions that it was made from by changes alone, the one before it first; a calibration of theirs is its own. */
  lineage: z
    .array(
      z.strictObject({
        version: z.string().min(1),
        /** Of its content. */
        digest: sha256Schema,
        /** Examples that changes have added, left out or relabelled since. */
        changed: z.int().min(0),
        /** Labels that it did not have. */
        newLabels: z.array(z.string()),
      }),
    )
    .optional(),
  /** Index recall@k; null where no graph was built. */
  recall: z
    .strictObject({ k: z.int().min(0), queries: z.int().min(1), value: z.number().min(0).max(1) })
    .nullable(),
  files: z.strictObject({
    'examples.jsonl': fileSchema,
    'embeddings.f32': fileSchema,
    'rejects.jsonl': fileSchema,
    /** Absent where hnswlib-node could not be built: search is exact then. */
    'vectors.hnsw': fileSchema.optional(),
  }),
});

export type IndexManifest = z.infer<typeof indexManifestSchema>;

export const manifestFile = 'manifest.json';

/**
 * Reads the manifest of a published version.
 * @throws NearvoteError `index_missing`, or `index_invalid` naming the field that is wrong
 */
export async function readIndexManifest(dir: string): Promise<IndexManifest> {
  let text: string;
  try {
    text = await readFile(join(dir, manifestFile), 'utf8');
  } catch (cause) {
    throw new NearvoteError(
      'index_missing',
      `Expected an index version in ${dir} but it has no manifest.json`,
      {
        cause,
      },
    );
  }
  const parsed = indexManifestSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path.join('.') ?? '';
    throw new NearvoteError(
      'index_invalid',
      `Expected a valid manifest.json in ${dir} but ${field === '' ? 'the whole' : field} is wrong: ${issue?.message ?? ''}`,
    );
  }
  return parsed.data;
}

/** Text that is not JSON reads as undefined, which no schema here accepts. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of a version's examples and their embeddings: what two versions with the same content have in common. */
export function contentDigest({ files }: Pick<IndexManifest, 'files'>): string {
  const decisive = [files['examples.jsonl'].sha256, files['embeddings.f32'].sha256];
  return createHash('sha256').update(JSON.stringify(decisive)).digest('hex');
}

/** The version that an index's `current` names. */
export interface PublishedVersion {
  readonly name: string;
  readonly version: string;
  readonly dir: string;
  readonly manifest: IndexManifest;
}

/** A published version, every file checked against its manifest. */
export interface OpenIndex extends PublishedVersion {
  /** In row order. */
  readonly examples: readonly Example[];
}

export const currentFile = 'current';

const versionPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * What `index/<name>` has published; its name is the folder's. Only the manifest is read.
 * @throws NearvoteError `index_missing` with the command that builds one, or `index_invalid` naming the defect
 */
export async function readPublished(root: string): Promise<PublishedVersion> {
  const name = basename(resolve(root));
  const version = await readCurrent(root);
  const dir = join(resolve(root), version);
  return { name, version, dir, manifest: await readIndexManifest(dir) };
}

/**
 * Opens what `index/<name>` has published.
 * @throws NearvoteError as `readPublished` and `readVersion`
 */
export async function openIndex(root: string): Promise<OpenIndex> {
  const published = await readPublished(root);
  return { ...published, examples: await readVersion(published) };
}

/**
 * The examples of a version, in row order, once every file has been found to be what the manifest says.
 * @throws NearvoteError `index_invalid` naming the defect
 */
export function readVersion(version: Pick<PublishedVersion, 'dir' | 'manifest'>): Promise<Example[]> {
  return beginVersion(version).examples;
}

/** A version that is being read; what its promises reject with is what `readVersion` throws. */
interface VersionReading {
  /** Resolves when vectors.hnsw is what the manifest says, or there is none: it may be opened while the rest is read. */
  readonly graph: Promise<void>;
  readonly examples: Promise<Example[]>;
}

/** Begins what `readVersion` waits for, the graph first: hnswlib reads it on a thread of its own, and trusts it. */
export function beginVersion({ dir, manifest }: Pick<PublishedVersion, 'dir' | 'manifest'>): VersionReading {
  const { 'vectors.hnsw': graphFile, ...others } = manifest.files;
  const graph = checkFile(join(dir, 'vectors.hnsw'), graphFile);
  const examples = graph.then(async () => {
    const [found] = await Promise.all([
      readExamplesFile(join(dir, 'examples.jsonl')),
      ...Object.entries(others).map(([file, expected]) => checkFile(join(dir, file), expected)),
    ]);
    checkCounts(manifest, found);
    return found;
  });
  // Whoever waits for the graph alone is told by that.
  examples.catch(() => undefined);
  return { graph, examples };
}

/**
 * The version that `current` names.
 * @throws NearvoteError `index_missing`, or `index_invalid` when it names anything but a folder beside it
 */
export async function readCurrent(root: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(join(root, currentFile), 'utf8');
  } catch (cause) {
    throw new NearvoteError(
      'index_missing',
      `Expected an index in ${root} but found none; build one: npx nearvote build --data DIR --encoder models/NAME --out ${root}`,
      { cause },
    );
  }
  const version = text.trim();
  if (!versionPattern.test(version)) {
    throw new NearvoteError(
      'index_invalid',
      `Expected ${join(root, currentFile)} to name a folder beside it but received ${JSON.stringify(version.slice(0, 100))}`,
    );
  }
  return version;
}

/** @throws NearvoteError `index_invalid` where a file is not what a manifest says of it; a graph may be missing */
export async function checkFile(path: string, expected: FileDigest | undefined): Promise<void> {
  if (expected === undefined) return;
  const found = await digestFile(path).catch((cause: unknown) => {
    // The one file that follows from the others: the search derives it.
    if (isMissing(cause) && basename(path) === 'vectors.hnsw') return expected;
    throw new NearvoteError('index_invalid', `Expected ${path} but it cannot be read`, { cause });
  });
  if (found.bytes !== expected.bytes) {
    throw new NearvoteError(
      'index_invalid',
      `Expected ${path} to hold ${expected.bytes} bytes but it holds ${found.bytes}`,
    );
  }
  if (found.sha256 !== expected.sha256) {
    throw new NearvoteError(
      'index_invalid',
      `Expected ${path} to have sha256 ${expected.sha256} but it has ${found.sha256}`,
    );
  }
}

function isMissing(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}

function checkCounts(manifest: IndexManifest, examples: readonly Example[]): void {
  const counts = new Map<string, number>();
  for (const { label } of examples) counts.set(label, (counts.get(label) ?? 0) + 1);
  const expected = manifest.examples;
  if (examples.length !== expected) {
    throw new NearvoteError(
      'index_invalid',
      `Expected ${expected} examples in examples.jsonl but received ${examples.length}`,
    );
  }
  const wrong = manifest.labels.find(({ label, examples: count }) => counts.get(label) !== count);
  if (wrong !== undefined || manifest.labels.length !== counts.size) {
    throw new NearvoteError(
      'index_invalid',
      'Expected the labels of examples.jsonl to be those of manifest.json',
    );
  }
  const bytes = expected * manifest.dimension * 4;
  const held = manifest.files['embeddings.f32'].bytes;
  if (held !== bytes) {
    throw new NearvoteError(
      'index_invalid',
      `Expected embeddings.f32 to hold ${bytes} bytes but it holds ${held}`,
    );
  }
}

/** @throws NearvoteError `index_empty` for a version without examples, which can answer nothing */
export function checkHasExamples({ name, version, manifest }: Omit<PublishedVersion, 'dir'>): void {
  if (manifest.examples > 0) return;
  throw new NearvoteError(
    'index_empty',
    `Expected an index with examples but version ${version} of ${name} has none; teach it and fold that in (nearvote index compact), or build it of images`,
  );
}

/** What of an encoder's manifest says whether an index is its own. */
export interface EncoderIdentity {
  readonly name: string;
  /** Of the model file. */
  readonly sha256: string;
  /** Of all that decides an embedding: the model file, the geometry, the names of input and output. */
  readonly digest: string;
  readonly output: { readonly dimension: number };
}

/** @throws NearvoteError `encoder_mismatch` when the index was built with another encoder */
export function checkEncoder(
  { name, manifest }: Pick<OpenIndex, 'name' | 'manifest'>,
  encoder: EncoderIdentity,
): void {
  const { sha256, digest } = manifest.encoder;
  if (sha256 !== encoder.sha256) {
    throw new NearvoteError(
      'encoder_mismatch',
      `Expected the encoder that index ${name} was built with, ${manifest.encoder.name} with sha256 ${sha256}, but received ${encoder.name} with sha256 ${encoder.sha256}; build the index again`,
    );
  }
  // An index that says nothing about the geometry was built before any did: there is nothing to hold against it.
  if (digest !== undefined && digest !== encoder.digest) {
    throw new NearvoteError(
      'encoder_mismatch',
      `Expected the encoder.json that index ${name} was built with but that of ${encoder.name} has changed: its geometry, or the names of input or output; undo that, or build the index again`,
    );
  }
  if (manifest.dimension !== encoder.output.dimension) {
    throw new NearvoteError(
      'encoder_mismatch',
      `Expected an encoder of dimension ${manifest.dimension}, as index ${name} has, but received ${encoder.output.dimension}`,
    );
  }
}
