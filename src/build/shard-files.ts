import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { errorCodes, NearvoteError, systemCodeOf } from '../domain/errors.js';
import { createHashedFile, digestFile } from '../files/digest.js';
import { syncPath, writeDurably } from '../files/durable.js';
import { littleEndianBytes } from '../files/float32.js';
import { readEmbeddingsFile } from '../neighbours/embeddings-file.js';
import type { InsertableImage } from './insert-images.js';

/* One part of a dataset, embedded: a folder that is whole once its `done.json` is there, which is written last. */

const imagesFile = 'images.jsonl';
const embeddingsFile = 'embeddings.f32';
const doneFile = 'done.json';

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const fileSchema = z.object({ sha256: sha256Schema, bytes: z.int().min(0) });

const doneSchema = z.object({
  schemaVersion: z.literal(1),
  /** Of `shards`, from 0. */
  shard: z.int().min(0),
  shards: z.int().min(1),
  /** In words. */
  dataset: z.string(),
  /** Of the ids and labels of all images of the dataset, in their order. */
  listing: sha256Schema,
  /** Of the encoder, its geometry among it. */
  encoder: sha256Schema,
  dimension: z.int().min(1),
  /** Of this part: those that were embedded, and those that could not be decoded. */
  images: z.int().min(0),
  rejected: z.int().min(0),
  files: z.object({ [imagesFile]: fileSchema, [embeddingsFile]: fileSchema }),
});

/** What a part says of itself. */
export type ShardDone = z.infer<typeof doneSchema>;

const embeddedSchema = z.strictObject({
  id: z.string(),
  label: z.string(),
  source: z.string(),
  digest: sha256Schema,
  trainedOn: z.boolean(),
});
const rejectedSchema = z.strictObject({
  id: z.string(),
  code: z.enum(errorCodes),
  message: z.string(),
  /** Null where it cannot be read. */
  digest: sha256Schema.nullable(),
});
const lineSchema = z.union([embeddedSchema, rejectedSchema]);

/** A line of images.jsonl: an image that was embedded, or why one was not. */
export type ShardLine = z.infer<typeof lineSchema>;

export function shardFolder(dir: string, { shard, shards }: Pick<ShardDone, 'shard' | 'shards'>): string {
  return join(dir, `${shard}-of-${shards}`);
}

/** Undefined where the part is not done. @throws NearvoteError `dataset_invalid` for a record that is none */
export async function readDone(folder: string): Promise<ShardDone | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, doneFile), 'utf8');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = doneSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw damaged(folder, `${doneFile} is not what a build of one part writes`);
}

export interface ShardWriter {
  add(line: z.infer<typeof embeddedSchema>, embedding: Float32Array): void;
  reject(line: z.infer<typeof rejectedSchema>): void;
  /** Writes the record that makes the part whole. */
  finish(about: Omit<ShardDone, 'schemaVersion' | 'files'>): Promise<void>;
  /** May be called after `finish`. */
  close(): void;
}

/** Begins the files of a part anew; one that was done before is so no more. @throws the file system's own error */
export async function writeShard(folder: string): Promise<ShardWriter> {
  await mkdir(folder, { recursive: true });
  for (const file of [doneFile, imagesFile, embeddingsFile]) await rm(join(folder, file), { force: true });
  const images = createHashedFile(join(folder, imagesFile));
  const embeddings = createHashedFile(join(folder, embeddingsFile));
  const write = (line: ShardLine): void => {
    images.write(Buffer.from(`${JSON.stringify(line)}\n`));
  };
  return {
    add: (line, embedding) => {
      write(line);
      embeddings.write(littleEndianBytes(embedding));
    },
    reject: write,
    finish: async (about) => {
      const files = { [imagesFile]: images.close(), [embeddingsFile]: embeddings.close() };
      await Promise.all([imagesFile, embeddingsFile].map((file) => syncPath(join(folder, file))));
      const done: ShardDone = { schemaVersion: 1, ...about, files };
      const staged = join(folder, `${doneFile}.new`);
      await writeDurably(staged, `${JSON.stringify(done, null, 2)}\n`);
      await rename(staged, join(folder, doneFile));
      await syncPath(folder);
    },
    close: () => {
      images.close();
      embeddings.close();
    },
  };
}

/**
 * The lines of a part that is done.
 * @throws NearvoteError `dataset_invalid` where the file is not the one that was written
 */
export async function* readLines(folder: string, { files }: ShardDone): AsyncGenerator<ShardLine> {
  const path = join(folder, imagesFile);
  const found = await digestFile(path).catch((error: unknown) => {
    throw damaged(folder, `${imagesFile} cannot be read: ${systemCodeOf(error)}`);
  });
  if (found.sha256 !== files[imagesFile].sha256) throw damaged(folder, `${imagesFile} has another sha256`);
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    const parsed = lineSchema.safeParse(parseJson(line));
    if (!parsed.success) throw damaged(folder, `${imagesFile} has a line that is none of its`);
    yield parsed.data;
  }
}

/**
 * What became of each image of a part that is done, in their order.
 * @throws NearvoteError `dataset_invalid` where a file is not the one that was written
 */
export async function* readShard(folder: string, done: ShardDone): AsyncGenerator<InsertableImage> {
  const { images: count, dimension, files } = done;
  const { values } = await readEmbeddingsFile({
    ...{ path: join(folder, embeddingsFile), count, dimension, sha256: files[embeddingsFile].sha256 },
  }).catch((error: unknown) => {
    throw damaged(folder, error instanceof NearvoteError ? error.message : String(error));
  });
  let row = 0;
  for await (const line of readLines(folder, done)) {
    if ('code' in line) {
      yield { kind: 'rejected', image: { id: line.id }, code: line.code, message: line.message };
      continue;
    }
    const { digest, trainedOn, ...image } = line;
    const embedding = values.subarray(row * dimension, ++row * dimension);
    if (embedding.length < dimension) throw damaged(folder, `${imagesFile} has more images than embeddings`);
    yield { kind: 'cached', image, digest: Buffer.from(digest, 'hex'), trainedOn, embedding };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function damaged(folder: string, why: string): NearvoteError {
  return new NearvoteError(
    'dataset_invalid',
    `Expected the part of the images in ${folder} as it was written but ${why}; remove that folder and build the part again`,
  );
}
