import { NearvoteError } from '../domain/errors.js';
import { calibrationText } from '../examples/calibration-file.js';
import { contentDigest, readPublished } from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../neighbours/embedded-index.js';
import type { IndexUrl } from '../postgres/index-url.js';
import { loadIndex, type LoadedExample } from '../postgres/load-index.js';

export interface LoadStoredOptions {
  /** `index/<name>`. */
  readonly root: string;
  readonly url: IndexUrl;
  readonly now: () => Date;
  readonly onLoaded?: ((examples: number) => void) | undefined;
}

export interface LoadedIndex {
  /** Where it lies now, without a password. */
  readonly url: string;
  readonly version: string;
  readonly examples: number;
}

/**
 * Loads the version that an index has published into PostgreSQL, with the pictures of what it was taught and its calibration.
 * Its changes get numbers of their own there, from 1.
 * @throws NearvoteError `index_changed` where changes are not folded into a version yet, `output_exists`, `index_*`, `database_*`
 */
export async function loadStored({ root, url, now, onLoaded }: LoadStoredOptions): Promise<LoadedIndex> {
  const published = await readPublished(root);
  const { version, manifest } = published;
  const lease = await leaseVersion(root, version);
  try {
    const index = await openEmbeddedIndex({ ...published, search: 'exact', threads: 1, access: 'read', now });
    try {
      const since = index.sequence - (manifest.sequence ?? 0);
      if (since > 0) {
        throw new NearvoteError(
          'index_changed',
          `Expected an index whose changes are in its version but ${since} were made since; fold them in first: nearvote index compact ${root}`,
        );
      }
      // Another database has another journal, and no folder that its encoder lies beside.
      const stored = { ...manifest, sequence: undefined, encoder: { ...manifest.encoder, path: undefined } };
      const { sha256, digest = sha256 } = manifest.encoder;
      const examples = await loadIndex({
        ...{ url, version, onLoaded },
        manifest: JSON.stringify(stored),
        calibration: (await calibrationText(root, { ...published, digest: contentDigest(manifest) })) ?? null,
        encoder: digest,
        ...{ dimension: manifest.dimension, m: manifest.m, efConstruction: manifest.efConstruction },
        ...{ examples: examplesOf(index), labels: manifest.labels },
      });
      return { url: url.shown, version, examples };
    } finally {
      await index.close();
    }
  } finally {
    await lease.release();
  }
}

function* examplesOf(index: EmbeddedIndex): Generator<LoadedExample> {
  for (const position of index.positions()) {
    const example = index.exampleAt(position);
    const embedding = Float32Array.from(index.embeddingAt(position));
    yield { ...example, embedding, picture: pictureOf(index, example.id) };
  }
}

/** Of what was taught; a build keeps none. */
function pictureOf(index: EmbeddedIndex, id: string): LoadedExample['picture'] {
  try {
    return index.picture(id);
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'example_missing') return undefined;
    throw error;
  }
}
