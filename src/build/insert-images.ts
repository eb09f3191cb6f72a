import { NearvoteError } from '../domain/errors.js';
import { createExampleIds } from '../examples/examples-file.js';
import type { HnswBuilder } from '../neighbours/hnsw.js';
import type { EmbeddedImage } from '../embed/embed-images.js';
import type { Progress } from '../domain/progress.js';
import type { VersionFiles } from './version-files.js';

type Embedded = Exclude<EmbeddedImage, { readonly kind: 'rejected' }>;
type Rejected = Extract<EmbeddedImage, { readonly kind: 'rejected' }>;

/** An image that was embedded, here or elsewhere, or why it was not. */
export type InsertableImage =
  | (Pick<Embedded, 'kind' | 'digest' | 'trainedOn' | 'embedding'> & {
      readonly image: Pick<Embedded['image'], 'id' | 'label' | 'source'>;
    })
  | (Omit<Rejected, 'image'> & { readonly image: Pick<Rejected['image'], 'id'> });

export interface InsertImagesOptions {
  readonly images: AsyncIterable<InsertableImage>;
  readonly files: VersionFiles;
  /** Absent where hnswlib-node could not be built. */
  readonly graph: HnswBuilder | undefined;
  /** Fail at the first reject. */
  readonly strict: boolean;
  readonly progress: Progress;
}

export interface Inserted {
  /** Of each row. */
  readonly labels: readonly string[];
  readonly labelCounts: ReadonlyMap<string, number>;
  readonly embedded: number;
  readonly fromCache: number;
  readonly rejected: number;
  /** Images that the encoder was trained on, as far as it can tell. */
  readonly trainedOn: number;
  /** Of the first few: what it was and why. */
  readonly firstRejects: readonly string[];
}

const insertsPerTurn = 4;
const rejectsNamed = 3;

/**
 * Gives every embedded image its row, in their order, and its id, in the files and in the graph.
 * @throws NearvoteError what rejected the first image, when `strict`; `dataset_invalid` for an id that came twice or
 * when no image is left
 */
export async function insertImages(options: InsertImagesOptions): Promise<Inserted> {
  const { images, files, graph, strict, progress } = options;
  const labels: string[] = [];
  const labelCounts = new Map<string, number>();
  const names = new Set<string>();
  const nameExample = createExampleIds();
  const counts = { embedded: 0, cached: 0, rejected: 0 };
  const firstRejects: string[] = [];
  let trainedOn = 0;
  for await (const one of images) {
    const { id } = one.image;
    if (names.has(id)) {
      throw new NearvoteError('dataset_invalid', `Expected every image once but ${id} came twice`);
    }
    names.add(id);
    counts[one.kind]++;
    progress.advance(1);
    if (one.kind === 'rejected') {
      const why = `${id}: ${one.message}`;
      if (strict) throw new NearvoteError(one.code, why);
      if (firstRejects.length < rejectsNamed) firstRejects.push(why);
      files.addReject({ id, code: one.code, message: one.message });
      continue;
    }
    const { label, source } = one.image;
    const example = { id: nameExample({ digest: one.digest, label }), label, source };
    files.addExample(example, one.embedding);
    graph?.add(one.embedding);
    labels.push(label);
    if (one.trainedOn) trainedOn++;
    // A batch comes back whole; inserting all of it at once would keep the next from the worker that is free.
    if (labels.length % insertsPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
    labelCounts.set(label, (labelCounts.get(label) ?? 0) + 1);
  }
  if (labels.length === 0) {
    const why =
      counts.rejected === 0
        ? 'the dataset is empty'
        : `all ${counts.rejected} were rejected, the first: ${firstRejects.join('; ')}`;
    throw new NearvoteError('dataset_invalid', `Expected at least one image that can be decoded but ${why}`);
  }
  return {
    labels,
    labelCounts,
    embedded: counts.embedded,
    fromCache: counts.cached,
    rejected: counts.rejected,
    trainedOn,
    firstRejects,
  };
}
