import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { importIndex } from '../curate/import-index.js';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { parseCanaries, type Canaries } from '../examples/canaries.js';
import { checkEncoder, readPublished, type PublishedVersion } from '../examples/index-store.js';
import { writeDurably } from '../files/durable.js';
import type { BundleUrl } from './bundle-url.js';
import type { BundleCache, Shelved } from './cache.js';
import { downloadFile, type FetchRules } from './download.js';

/** How something is brought into the cache. */
export interface Bringing {
  readonly cache: BundleCache;
  readonly rules: FetchRules;
  readonly signal: AbortSignal;
}

/** A bundle that was fetched, checked and unpacked. */
export interface FetchedBundle extends Shelved {
  /** `index/<name>`, of one version that nobody changes. */
  readonly root: string;
  /** Bundles of older versions of nearvote have none. */
  readonly canaries: Canaries | undefined;
}

const canariesFile = 'canaries.json';

/**
 * Brings a bundle: from the cache, where it needs no network, or from where it lies.
 * @throws NearvoteError `bundle_*`, `output_unwritable`, `dependency_missing`
 */
export async function bringBundle(source: BundleUrl, bringing: Bringing): Promise<FetchedBundle> {
  const { cache, rules, signal } = bringing;
  const shelved = await cache.bring('bundles', source.sha256, {
    signal,
    make: async ({ into, fetching }) => {
      const file = join(fetching, `${source.sha256}.tar`);
      await downloadFile({ source, to: file, rules, signal });
      const { canaries } = await importIndex({
        ...{ file, sha256: source.sha256, replace: false, keep: 0 },
        root: (name) => join(into, 'index', name),
        models: join(into, 'models'),
      }).catch((error: unknown) => {
        // Nobody else changes it here: only the disk can be in the way of its lock.
        if (!(error instanceof NearvoteError) || error.code !== 'index_readonly') throw error;
        throw new NearvoteError('output_unwritable', error.message, { cause: error });
      });
      if (canaries !== undefined) await writeDurably(join(into, canariesFile), JSON.stringify(canaries));
    },
  });
  return unpacked(shelved);
}

/** One that is in the cache, by its sha256. */
export async function cachedBundle(cache: BundleCache, sha256: string): Promise<FetchedBundle | undefined> {
  const shelved = await cache.find('bundles', sha256);
  return shelved && (await unpacked(shelved));
}

async function unpacked(shelved: Shelved): Promise<FetchedBundle> {
  const { dir } = shelved;
  const [name = ''] = await readdir(join(dir, 'index'));
  const canaries = parseCanaries(await readFile(join(dir, canariesFile), 'utf8').catch(() => ''));
  return { ...shelved, root: join(dir, 'index', name), canaries };
}

/** An encoder's folder, in the cache. */
interface FetchedEncoder extends Shelved {
  readonly encoderDir: string;
}

/**
 * Brings an encoder, told by the URL and the sha256 of its encoder.json; the model file beside it is held to what that says.
 * @throws NearvoteError as `bringBundle`, `encoder_invalid`, `encoder_unsupported`
 */
async function bringEncoder(source: BundleUrl, bringing: Bringing): Promise<FetchedEncoder> {
  const { cache, rules, signal } = bringing;
  const shelved = await cache.bring('encoders', source.sha256, {
    signal,
    make: async ({ into, fetching }) => {
      const manifestFile = join(fetching, 'encoder.json');
      await downloadFile({ source, to: manifestFile, rules, signal });
      const { name, file, format, sha256 } = await readEncoderManifest(fetching);
      if (format !== 'onnx' || !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(file)) {
        throw new NearvoteError(
          'encoder_unsupported',
          `Expected an ONNX encoder with its file beside ${source.shown} but it is ${format} in ${JSON.stringify(file)}; put its folder on this machine, where --models says`,
        );
      }
      const url = new URL(file, source.url);
      url.search = source.url.search;
      const shown = source.shown.replace(/[^/]*$/, file);
      const model = join(fetching, 'model');
      await downloadFile({ source: { kind: 'bundle', url, shown, sha256 }, to: model, rules, signal });
      const dir = join(into, name);
      await mkdir(dir);
      await rename(model, join(dir, file));
      await rename(manifestFile, join(dir, 'encoder.json'));
    },
  });
  const [name = ''] = (await readdir(shelved.dir, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  return { ...shelved, encoderDir: join(shelved.dir, name) };
}

/**
 * The encoder of an index among those that were told by URLs, and those in a folder under other names.
 * @returns undefined where it is none of them
 * @throws NearvoteError as `bringEncoder`, for one that could be it
 */
export async function findByDigest(
  published: PublishedVersion,
  {
    models,
    sources,
    bringing,
  }: { readonly models: string; readonly sources: readonly BundleUrl[]; readonly bringing: Bringing },
): Promise<{ readonly encoderDir: string; readonly shelved?: Shelved } | undefined> {
  const isIts = async (dir: string): Promise<boolean> => {
    const manifest = await readEncoderManifest(dir).catch(() => undefined);
    if (manifest === undefined) return false;
    try {
      checkEncoder(published, encoderIdentity(manifest));
      return true;
    } catch {
      return false;
    }
  };
  for (const name of await readdir(models).catch(() => [])) {
    if (await isIts(join(models, name))) return { encoderDir: join(models, name) };
  }
  for (const source of sources) {
    const { encoderDir, ...shelved } = await bringEncoder(source, bringing);
    if (await isIts(encoderDir)) return { encoderDir, shelved };
    await shelved.release();
  }
  return undefined;
}

/** What an index says that it has published. @throws NearvoteError `index_*` */
export const publishedOf = ({ root }: FetchedBundle): Promise<PublishedVersion> => readPublished(root);
