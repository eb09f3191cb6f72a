import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import { digestImages, embedImages, type EmbedImagesOptions } from '../embed/embed-images.js';
import { contentDigest } from '../embed/image-key.js';
import { encoderIdentity, type EncoderManifest } from '../encoder/manifest.js';
import { writing } from '../files/durable.js';
import { lockFolder } from '../files/lock.js';
import type { Dataset, LabelledImage } from '../image/dataset/dataset.js';
import type { Decoder } from '../image/decode.js';
import { openEmbeddingCache } from './embedding-cache.js';
import { readDone, readLines, shardFolder, writeShard, type ShardDone } from './shard-files.js';

/** One part of a build: of `shards`, from 0. */
export interface ShardOptions {
  readonly dataset: Dataset;
  readonly encoder: EncoderManifest;
  readonly shard: number;
  readonly shards: number;
  /** Where the parts are; each has a folder there. */
  readonly dir: string;
  readonly progress: Progress;
}

export interface EmbedShardOptions extends ShardOptions {
  readonly decoder: Decoder;
  /** Runs the encoder while `work` embeds; not called where the part is done. */
  readonly withPool: <T>(work: (running: RunningPool) => Promise<T>) => Promise<T>;
}

type RunningPool = Pick<EmbedImagesOptions, 'pool' | 'inFlight' | 'trainedOn'>;

export interface ShardReport {
  readonly folder: string;
  readonly done: ShardDone;
  /** It was whole before, and its images are what they were. */
  readonly skipped: boolean;
}

/** All images of a dataset, as far as their names tell, and those of one part. */
export interface Listing {
  /** The sha256, in hex, of all ids and labels in their order. */
  readonly sha256: string;
  readonly size: number;
  /** A stretch of the images: all parts have as many, to one. */
  readonly part: readonly LabelledImage[];
}

/** Lists a dataset, reading no image. @throws what listing it throws */
export async function listPart(
  dataset: Dataset,
  { shard, shards }: Pick<ShardOptions, 'shard' | 'shards'>,
): Promise<Listing> {
  const hash = createHash('sha256');
  const from = Math.floor((shard * dataset.size) / shards);
  const to = Math.floor(((shard + 1) * dataset.size) / shards);
  const part: LabelledImage[] = [];
  let size = 0;
  for await (const image of dataset.images()) {
    hash.update(`${JSON.stringify([image.id, image.label])}\n`);
    if (size >= from && size < to) part.push(image);
    size++;
  }
  return { sha256: hash.digest('hex'), size, part };
}

/**
 * Embeds one part of a dataset into a folder of its own, which is whole once its record is there: a process that is
 * killed leaves none, and the next one goes on where it was. A part that is done, and whose images are the same, is left.
 * @throws NearvoteError `output_unwritable`, also where another process builds the part, or what the encoder throws
 */
export async function embedShard(options: EmbedShardOptions): Promise<ShardReport> {
  const { dataset, encoder, shard, shards, dir } = options;
  const folder = shardFolder(dir, { shard, shards });
  return writing(folder, async () => {
    await mkdir(folder, { recursive: true });
    const lock = await lockFolder(folder);
    try {
      const { sha256: listing, part } = await listPart(dataset, options);
      const about: About = {
        ...{ shard, shards, dataset: dataset.name, listing },
        ...{ encoder: encoderIdentity(encoder).digest, dimension: encoder.output.dimension },
      };
      const former = await readDone(folder).catch(() => undefined);
      if (former !== undefined && says(former, about) && (await isOf(folder, former, part))) {
        return { folder, done: former, skipped: true };
      }
      await options.withPool((running) => embedPart({ ...options, ...running, folder, about, part }));
      const done = await readDone(folder);
      if (done === undefined) throw new NearvoteError('internal', `Expected ${folder} to be done`);
      return { folder, done, skipped: false };
    } finally {
      await lock.release();
    }
  });
}

/** What of the record is known before an image is read. */
type About = Omit<ShardDone, 'schemaVersion' | 'files' | 'images' | 'rejected'>;

function says(done: ShardDone, about: About): boolean {
  return Object.entries(about).every(([name, value]) => done[name as keyof About] === value);
}

/** Whether the images of a part are still those of which it was made, by their contents. */
async function isOf(folder: string, done: ShardDone, part: readonly LabelledImage[]): Promise<boolean> {
  const images = digestImages(part);
  try {
    for await (const line of readLines(folder, done)) {
      const next = await images.next();
      if (next.done === true || next.value.image.id !== line.id) return false;
      const digest = next.value.kind === 'read' ? next.value.digest.toString('hex') : null;
      if (digest !== line.digest) return false;
    }
    return (await images.next()).done === true;
  } catch (error) {
    // What is damaged is made anew.
    if (error instanceof NearvoteError && error.code === 'dataset_invalid') return false;
    throw error;
  } finally {
    await images.return(undefined);
  }
}

interface PartOptions extends EmbedShardOptions, RunningPool {
  readonly folder: string;
  readonly about: About;
  readonly part: readonly LabelledImage[];
}

async function embedPart(options: PartOptions): Promise<void> {
  const { decoder, encoder, pool, inFlight, trainedOn, folder, about, part, progress } = options;
  const dir = join(folder, '.cache');
  const { dimension } = encoder.output;
  const writer = await writeShard(folder);
  const cache = openEmbeddingCache({ dir, encoderSha256: encoder.sha256, dimension });
  const counts = { images: 0, rejected: 0 };
  progress.start({ name: 'embedding', total: part.length, unit: 'images' });
  try {
    const { geometry } = encoder.input;
    const how = { decoder, geometry, pool, known: cache, trainedOn, inFlight };
    for await (const one of embedImages(part, how)) {
      progress.advance(1);
      const { id, label, source } = one.image;
      if (one.kind === 'rejected') {
        counts.rejected++;
        writer.reject({ id, code: one.code, message: one.message, digest: await digestOf(one.image) });
      } else {
        counts.images++;
        const { digest, trainedOn: known, embedding } = one;
        writer.add({ id, label, source, digest: digest.toString('hex'), trainedOn: known }, embedding);
      }
    }
    await writer.finish({ ...about, ...counts });
  } finally {
    writer.close();
    cache.close();
  }
  progress.finish();
  // What a killed process would have gone on from.
  await rm(dir, { recursive: true, force: true });
}

/** Of an image that was rejected, as far as it can be read. */
async function digestOf(image: LabelledImage): Promise<string | null> {
  try {
    return contentDigest(await image.read()).toString('hex');
  } catch {
    return null;
  }
}
