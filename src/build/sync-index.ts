import { basename, resolve } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { checkEncoder, readPublished } from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { writing } from '../files/durable.js';
import { lockFolder } from '../files/lock.js';
import type { ExampleAct } from '../neighbours/changes.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../neighbours/embedded-index.js';
import type { LabelledDigest, Matching } from '../neighbours/match-images.js';
import { withWritableIndex, type WritableIndex } from '../neighbours/writable-index.js';
import { datasetWarnings, requireImages } from './build-index.js';
import { compactIndex, isDueForCompaction, type CompactReport } from './compact.js';
import { embedMissing, readImages, type SyncImagesOptions } from './sync-images.js';
import {
  planOf,
  reportOf,
  type Prepared,
  type Synced,
  type SyncPlan,
  type SyncReport,
} from './sync-report.js';

export interface SyncIndexOptions extends SyncImagesOptions {
  /** Leave examples that were taught and are not in the dataset. */
  readonly keepTaught: boolean;
  /** Whether no example of before need be left. */
  readonly allowDeleteAll: boolean;
  /** Share of the images that may be rejected; 0.1 unless told. Above it nothing is changed. */
  readonly maxRejects?: number | undefined;
  readonly strict: boolean;
  /** Old versions to keep, where so much was changed that it is folded into a new one. */
  readonly keep: number;
  /** Of that fold. */
  readonly threads: number;
  readonly reason: string | null;
  readonly who: string | null;
  readonly now: () => Date;
  /** Told what is to be done before the long work begins. */
  readonly onPlan?: ((plan: SyncPlan) => void) | undefined;
}

/**
 * Makes an index hold what a dataset has, by one change: images that it lacks are added, examples that are not in the
 * dataset deleted, those that the dataset labels otherwise relabelled. An image is known by its content, wherever it lies.
 * @throws NearvoteError `index_*`, `encoder_mismatch`, `dataset_invalid`, `label_invalid`, `image_*` when strict,
 * `output_unwritable`, or what the encoder throws
 */
export async function syncIndex(options: SyncIndexOptions): Promise<SyncReport> {
  const { root, dryRun, encoder, keep, threads, progress, now } = options;
  const started = performance.now();
  const warnings = datasetWarnings(options.dataset);
  const seconds = (): number => (performance.now() - started) / 1000;
  if (dryRun) {
    const tried = await tryOut(options);
    return { ...tried, compacted: undefined, unfolded: undefined, warnings, seconds: seconds() };
  }
  checkEncoder(await readPublished(root), encoderIdentity(encoder));
  const { isDue, ...synced } = await withWritableIndex({ root, now }, async (writable) => {
    checkEncoder(writable.published, encoderIdentity(encoder));
    // No build publishes meanwhile, nor writes to the same cache.
    return writing(root, async () => {
      const building = await lockFolder(root);
      try {
        return await syncOpened(options, writable);
      } finally {
        await building.release();
      }
    });
  });
  let compacted: CompactReport | undefined;
  let unfolded: string | undefined;
  if (synced.operation !== null && isDue) {
    try {
      compacted = await compactIndex({ root, keep, threads, progress, now });
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
      unfolded = error.message;
    }
  }
  return { ...synced, compacted, unfolded, warnings, seconds: seconds() };
}

async function tryOut(options: SyncIndexOptions): Promise<Synced> {
  const { root, encoder, now } = options;
  const published = await readPublished(root).catch((error: unknown) => {
    if (error instanceof NearvoteError && error.code === 'index_missing') return undefined;
    throw error;
  });
  if (published === undefined) return reportOf(true, await prepare(options, undefined));
  checkEncoder(published, encoderIdentity(encoder));
  const lease = await leaseVersion(root, published.version);
  try {
    const opened = { ...published, search: 'exact', threads: 1, access: 'read', now } as const;
    const index = await openEmbeddedIndex(opened);
    try {
      return reportOf(true, await prepare(options, index));
    } finally {
      await index.close();
    }
  } finally {
    await lease.release();
  }
}

async function syncOpened(
  options: SyncIndexOptions,
  { index, assertHeld }: WritableIndex,
): Promise<Synced & { readonly isDue: boolean }> {
  const { reason, who } = options;
  const prepared = await prepare(options, index);
  const { acts } = prepared;
  if (acts.length === 0) return { ...reportOf(false, prepared), isDue: false };
  await assertHeld();
  const { operation, sequence } = await index.change({ kind: 'edit', acts, reason, who });
  return { ...reportOf(false, prepared), operation, sequence, isDue: isDueForCompaction(index.state()) };
}

/** Everything but the change itself. */
async function prepare(options: SyncIndexOptions, index: EmbeddedIndex | undefined): Promise<Prepared> {
  const { dataset, keepTaught, allowDeleteAll, root, strict, maxRejects } = options;
  const { images, rejects, unread } = await readImages(options);
  const { matches, surplus: unmatched } = index?.match(images) ?? nothingHeld(images);
  const surplus = unmatched.filter(({ source }) => !unread.has(source));
  const deleted = surplus.filter(({ taught }) => !(taught && keepTaught));
  const plan = planOf({
    name: basename(resolve(root)),
    dataset,
    index,
    matches,
    surplus,
    unread: unmatched.filter(({ source }) => unread.has(source)),
    keepsTaught: keepTaught,
  });
  options.onPlan?.(plan);
  if (!allowDeleteAll && deleted.length > 0 && deleted.length === plan.examples) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected some of the ${plan.examples} examples of ${root} among the images of ${dataset.name} but there are none: all would be deleted. --allow-delete-all does so`,
    );
  }

  const missing = matches.flatMap((match, at) => (match.kind === 'missing' ? [{ ...match, at }] : []));
  const unknown = new Set(
    missing.flatMap(({ twin, at }) => (twin === undefined ? [images[at]?.image.id] : [])),
  );
  const embedded = await embedMissing(options, { images, unknown });
  rejects.push(...embedded.rejects);
  const firstRejects = rejects.slice(0, 3).map(({ id, message }) => `${id}: ${message}`);
  const [first] = rejects;
  if (strict && first !== undefined) throw new NearvoteError(first.code, firstRejects[0] ?? '');
  requireImages({ all: dataset.size, rejected: rejects.length, firstRejects, maxRejects });

  const acts: ExampleAct[] = deleted.map(({ id }) => ({ kind: 'delete', id }));
  for (const [at, match] of matches.entries()) {
    if (match.kind === 'moved') acts.push({ kind: 'relabel', id: match.id, label: images[at]?.label ?? '' });
  }
  let fromIndex = 0;
  for (const { id, twin, at } of missing) {
    const one = images[at];
    if (one === undefined) continue;
    const { label, image } = one;
    const known = twin === undefined ? undefined : index?.embeddingAt(twin);
    const embedding = known === undefined ? embedded.embeddings.get(image.id) : Float32Array.from(known);
    // It was rejected.
    if (embedding === undefined) continue;
    if (known !== undefined) fromIndex++;
    acts.push({ kind: 'add', example: { id, digest: null, label, source: image.source, embedding } });
  }
  const labelOf = new Map(surplus.map(({ id, label }) => [id, label]));
  for (const match of matches) if (match.kind === 'moved') labelOf.set(match.id, match.from);
  const state = index?.state();
  return {
    ...{ plan, acts, labelOf, fromIndex, rejects },
    embedded: embedded.embedded,
    fromCache: embedded.fromCache,
    before: new Map(state?.labels.map(({ label, examples }) => [label, examples])),
    sequence: state?.sequence ?? 0,
  };
}

function nothingHeld(images: readonly LabelledDigest[]): Matching {
  return {
    matches: images.map(() => ({ kind: 'missing', id: '', twin: undefined, deleted: false })),
    surplus: [],
  };
}
