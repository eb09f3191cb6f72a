import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import {
  digestImages,
  embedImages,
  type EmbeddedImage,
  type EmbedImagesOptions,
} from '../embed/embed-images.js';
import type { EncoderManifest } from '../encoder/manifest.js';
import type { Dataset, LabelledImage } from '../image/dataset/dataset.js';
import type { Decoder } from '../image/decode.js';
import type { LabelledDigest } from '../neighbours/match-images.js';
import { openEmbeddingCache } from './embedding-cache.js';

type RunningPool = Pick<EmbedImagesOptions, 'pool' | 'inFlight'>;

export interface SyncImagesOptions {
  /** `index/<name>`. */
  readonly root: string;
  readonly dataset: Dataset;
  readonly decoder: Decoder;
  readonly encoder: EncoderManifest;
  /** Runs that encoder while `work` embeds; not called where there is nothing to embed. */
  readonly withPool: <T>(work: (running: RunningPool) => Promise<T>) => Promise<T>;
  /** Embed nothing. */
  readonly dryRun: boolean;
  readonly progress: Progress;
}

/** An image of the dataset, and what it is by its content. */
interface ReadImage extends LabelledDigest {
  readonly image: LabelledImage;
}

/** An image that is left out, and why. */
export type Reject = Omit<Extract<EmbeddedImage, { readonly kind: 'rejected' }>, 'kind' | 'image'> & {
  readonly id: string;
};

export interface ReadDataset {
  readonly images: ReadImage[];
  readonly rejects: Reject[];
  /** Where the images are that could not be read: they may be what they were. */
  readonly unread: ReadonlySet<string>;
}

/**
 * Reads every image of a dataset, decoding none.
 * @throws NearvoteError `dataset_invalid` for an image that came twice
 */
export async function readImages({ dataset, progress }: SyncImagesOptions): Promise<ReadDataset> {
  const images: ReadImage[] = [];
  const rejects: Reject[] = [];
  const unread = new Set<string>();
  const names = new Set<string>();
  progress.start({ name: 'reading', total: dataset.size, unit: 'images' });
  for await (const one of digestImages(dataset.images())) {
    const { image } = one;
    if (names.has(image.id)) {
      throw new NearvoteError('dataset_invalid', `Expected every image once but ${image.id} came twice`);
    }
    names.add(image.id);
    if (one.kind === 'read') images.push({ image, digest: one.digest, label: image.label });
    else {
      rejects.push({ id: image.id, code: one.code, message: one.message });
      unread.add(image.source);
    }
    progress.advance(1);
  }
  progress.finish();
  return { images, rejects, unread };
}

interface Missing {
  readonly images: readonly ReadImage[];
  /** By their ids in the dataset. */
  readonly unknown: ReadonlySet<string | undefined>;
}

interface EmbeddedMissing {
  /** Through the encoder, or from the cache of builds. */
  readonly embedded: number;
  readonly fromCache: number;
  /** By the images' ids in the dataset. */
  readonly embeddings: ReadonlyMap<string, Float32Array>;
  readonly rejects: readonly Reject[];
}

/**
 * Embeds what the index does not hold; a dry run decodes it alone, to tell what would be rejected.
 * @throws NearvoteError `dataset_invalid` for an image that changed since it was read, or what the encoder throws
 */
export async function embedMissing(
  options: SyncImagesOptions,
  { images, unknown }: Missing,
): Promise<EmbeddedMissing> {
  const { root, encoder, decoder, dryRun, withPool, progress } = options;
  const embeddings = new Map<string, Float32Array>();
  const rejects: Reject[] = [];
  const counts = { embedded: 0, cached: 0 };
  if (unknown.size === 0) return { embeddings, rejects, embedded: 0, fromCache: 0 };
  const wanted = images.filter(({ image }) => unknown.has(image.id));
  const digests = new Map(wanted.map(({ image, digest }) => [image.id, digest]));
  const { dimension } = encoder.output;
  const { geometry } = encoder.input;
  progress.start({ name: dryRun ? 'decoding' : 'embedding', total: wanted.length, unit: 'images' });

  const take = async (
    known: ReturnType<typeof openEmbeddingCache> | undefined,
    running: RunningPool,
  ): Promise<void> => {
    for await (const one of embedImages(
      wanted.map(({ image }) => image),
      { decoder, geometry, known, ...running },
    )) {
      const { id } = one.image;
      progress.advance(1);
      if (one.kind === 'rejected') {
        rejects.push({ id, code: one.code, message: one.message });
        continue;
      }
      if (!one.digest.equals(digests.get(id) ?? Buffer.alloc(0))) {
        throw new NearvoteError(
          'dataset_invalid',
          `Expected ${id} as it was read but it has changed since; begin again`,
        );
      }
      embeddings.set(id, one.embedding);
      counts[one.kind]++;
    }
  };

  if (dryRun) {
    const nothing = { embedding: new Float32Array(dimension), queueMs: 0, encodeMs: 0, batchSize: 1 };
    await take(undefined, { pool: { embed: () => Promise.resolve(nothing) }, inFlight: 64 });
    counts.embedded = 0;
  } else {
    const cache = openEmbeddingCache({
      ...{ dir: join(root, '.cache'), encoderSha256: encoder.sha256, dimension },
    });
    try {
      await withPool((running) => take(cache, running));
    } finally {
      cache.close();
    }
  }
  progress.finish();
  return { embeddings, rejects, embedded: counts.embedded, fromCache: counts.cached };
}
