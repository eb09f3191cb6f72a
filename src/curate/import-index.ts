import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { asEmbeddings } from '../domain/embeddings.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { openBundle, type BundleReading } from '../examples/bundle.js';
import { canariesPath, parseCanaries, type Canaries } from '../examples/canaries.js';
import { installCalibration, parseCalibration } from '../examples/calibration-file.js';
import {
  checkEncoder,
  contentDigest,
  currentFile,
  readIndexManifest,
  readPublished,
  readVersion,
  type EncoderIdentity,
  type IndexManifest,
} from '../examples/index-store.js';
import { journalFile } from '../examples/journal-file.js';
import { stageVersion, versionName, type Published, type StagedVersion } from '../examples/publish.js';
import { lockWriter } from '../examples/writer.js';
import { writing } from '../files/durable.js';
import { floatsOfLittleEndian } from '../files/float32.js';
import { draftFolder, locatedEncoder, placeEncoder, wrongBundle } from './import-encoder.js';
import { readJournal, sequenceOf } from './kept-versions.js';

export interface ImportOptions {
  /** The bundle. */
  readonly file: string;
  /** `index/<name>`, or what makes it of the name that the bundle has. */
  readonly root: (name: string) => string;
  /** The folder of encoders, where one that comes with it goes. */
  readonly models: string;
  /** Whether an index that is there gets what the bundle holds as its next version. */
  readonly replace: boolean;
  /** Of the whole file; the one in its name unless told. */
  readonly sha256?: string | undefined;
  /** Old versions to keep. */
  readonly keep: number;
  /** Set by the server that serves the index and holds its writer's lock; an encoder in the bundle stays there. */
  readonly served?: { readonly encoder: EncoderIdentity } | undefined;
}

export interface ImportedIndex {
  readonly name: string;
  readonly root: string;
  readonly version: string;
  readonly examples: number;
  readonly sequence: number;
  /** Of the whole file. */
  readonly sha256: string;
  /** Whether that was what it was to be; false where nobody said. */
  readonly wasExpected: boolean;
  /** Folder of the encoder that came with it. */
  readonly encoder: string | undefined;
  /** False where what was published says the same already. */
  readonly changed: boolean;
  /** What it is to answer; older bundles have none. */
  readonly canaries: Canaries | undefined;
}

/**
 * Makes an index of a bundle: everything is checked before anything is seen, and then published by one rename.
 * @throws NearvoteError `bundle_invalid`, `output_exists`, `index_readonly`, `output_unwritable`, and for an index that is
 * served `encoder_mismatch`, `changes_left_out`; then all is as it was
 */
export async function importIndex(options: ImportOptions): Promise<ImportedIndex> {
  const { file, served } = options;
  // What a server serves is there, and whether it may be replaced is asked once the bundle is known.
  const replace = options.replace || served !== undefined;
  await using bundle = await openBundle(file);
  const root = options.root(bundle.list.name);
  return await writing(root, async () => {
    checkPlace(root, replace);
    const isNew = !existsSync(root);
    await mkdir(root, { recursive: true });
    try {
      const writer = served === undefined ? await lockWriter(root) : undefined;
      try {
        const staged = await stageVersion(root);
        try {
          // Another process may have published one until the locks were ours.
          checkPlace(root, replace);
          return await unpack(bundle, { ...options, root, staged });
        } finally {
          await staged.close();
        }
      } finally {
        await writer?.release();
      }
    } catch (error) {
      if (isNew && !existsSync(join(root, currentFile))) await removeEmpty(root);
      throw error;
    }
  });
}

/** @throws NearvoteError `output_exists` */
function checkPlace(root: string, replace: boolean): void {
  const isIndex = existsSync(join(root, currentFile));
  if (!isIndex && !existsSync(join(root, journalFile))) return;
  if (isIndex && replace) return;
  throw new NearvoteError(
    'output_exists',
    `Expected ${root} to hold no index but it holds one; give another name, or --replace, which publishes the bundle as its next version`,
  );
}

interface Unpacking extends Omit<ImportOptions, 'root'> {
  readonly root: string;
  readonly staged: StagedVersion;
}

async function unpack(bundle: BundleReading, options: Unpacking): Promise<ImportedIndex> {
  const { root, staged, file, models, served } = options;
  const { list } = bundle;
  const hasEncoder = served === undefined && list.files.some(({ path }) => path.startsWith('encoder/'));
  const drafts = hasEncoder ? await draftFolder(models) : undefined;
  try {
    let manifest: IndexManifest | undefined;
    let canaries: Canaries | undefined;
    const digest = await bundle.each(async (path, content) => {
      if (path === canariesPath) {
        canaries = await readCanaries(file, { content, list });
        return;
      }
      const [folder, name = ''] = path.split('/');
      const into = folder === 'encoder' ? drafts && join(drafts, name) : join(staged.dir, name);
      const checked =
        name === 'embeddings.f32' && manifest !== undefined ? unit(file, content, manifest) : content;
      await writeFrom(into, checked);
      if (path !== 'index/manifest.json') return;
      manifest = await readManifest(file, staged.dir);
      if (served !== undefined) checkEncoder({ name: list.name, manifest }, served.encoder);
    });
    const expected = options.sha256 ?? /-([0-9a-f]{64})\.tar$/.exec(basename(file))?.[1];
    if (expected !== undefined && expected !== digest) {
      throw wrongBundle(file, `its sha256 is ${digest} and not ${expected}`);
    }
    if (manifest === undefined) throw wrongBundle(file, 'it has no manifest');
    await checkVersion(file, staged.dir, manifest);
    if (served !== undefined && !options.replace) await checkLosesNothing(root, manifest);
    const encoder = drafts && (await placeEncoder(drafts, { ...options, manifest }));
    const calibration = join(staged.dir, 'calibration.json');
    const text = existsSync(calibration) ? await readFile(calibration, 'utf8') : undefined;
    if (text !== undefined) parseCalibration(text);
    await rm(calibration, { force: true });
    const isNew = !existsSync(join(root, currentFile));
    // A new index is whole from its first moment on; one that is there keeps its own until it is replaced.
    if (isNew && text !== undefined) await installCalibration(root, text);
    const sequence = await sequenceAfter(root, manifest);
    const published = await publish(options, {
      ...manifest,
      sequence,
      encoder: await locatedEncoder(root, { manifest, encoder }),
    });
    if (!isNew && text !== undefined) await installCalibration(root, text);
    return {
      name: basename(resolve(root)),
      ...{ root, version: published.version, examples: manifest.examples, changed: published.changed },
      ...{ sequence: sequence ?? 0, sha256: digest, wasExpected: expected !== undefined, encoder, canaries },
    };
  } finally {
    if (drafts !== undefined) await rm(dirname(drafts), { recursive: true, force: true });
  }
}

/** Eight embeddings of the largest dimension there is have fewer bytes. */
const mostCanaryBytes = 1 << 23;

async function readCanaries(
  file: string,
  { content, list }: { readonly content: AsyncIterable<Uint8Array>; readonly list: BundleReading['list'] },
): Promise<Canaries> {
  const bytes = list.files.find(({ path }) => path === canariesPath)?.bytes ?? 0;
  const canaries = bytes > mostCanaryBytes ? undefined : parseCanaries(await textOf(content));
  if (canaries === undefined) throw wrongBundle(file, 'its canary queries are none');
  return canaries;
}

async function readManifest(file: string, dir: string): Promise<IndexManifest> {
  try {
    return await readIndexManifest(dir);
  } catch (cause) {
    throw wrongBundle(file, `its manifest is none: ${messageOf(cause)}`, { cause });
  }
}

/** Rows as they pass, each of unit length. */
async function* unit(
  file: string,
  content: AsyncIterable<Uint8Array>,
  { dimension }: IndexManifest,
): AsyncGenerator<Uint8Array> {
  const rowBytes = dimension * 4;
  let rest = Buffer.alloc(0);
  for await (const piece of content) {
    const bytes = Buffer.concat([rest, piece]);
    const whole = bytes.length - (bytes.length % rowBytes);
    try {
      asEmbeddings(floatsOfLittleEndian(bytes.subarray(0, whole)), dimension);
    } catch (cause) {
      throw wrongBundle(file, `embeddings.f32: ${messageOf(cause)}`, { cause });
    }
    rest = bytes.subarray(whole);
    yield piece;
  }
}

/** Without a path it is only read. */
async function writeFrom(path: string | undefined, content: AsyncIterable<Uint8Array>): Promise<void> {
  const file = path === undefined ? undefined : await open(path, 'wx');
  try {
    for await (const piece of content) await file?.writeFile(piece);
    await file?.sync();
  } finally {
    await file?.close();
  }
}

/** That the files are those of the manifest, and say what it says. @throws NearvoteError `bundle_invalid` */
async function checkVersion(file: string, dir: string, manifest: IndexManifest): Promise<void> {
  try {
    const examples = await readVersion({ dir, manifest });
    if (manifest.files['vectors.hnsw'] === undefined && existsSync(join(dir, 'vectors.hnsw'))) {
      throw new NearvoteError('index_invalid', 'Expected no graph, as the manifest says, but there is one');
    }
    if (new Set(examples.map(({ id }) => id)).size !== examples.length) {
      throw new NearvoteError(
        'index_invalid',
        'Expected every id once in examples.jsonl but one comes twice',
      );
    }
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    throw wrongBundle(file, `of what it holds: ${error.message.replaceAll(`${dir}${sep}`, '')}`, {
      cause: error,
    });
  }
}

/**
 * That the bundle holds what was taught and corrected in the index, be it in its journal or folded into its version.
 * @throws NearvoteError `changes_left_out`
 */
async function checkLosesNothing(root: string, manifest: IndexManifest): Promise<void> {
  const published = await readPublished(root);
  using journal = await readJournal(root, published);
  const since = (journal?.head ?? sequenceOf(published)) - sequenceOf(published);
  const digest = contentDigest(published.manifest);
  const [parent] = published.manifest.lineage ?? [];
  // A compaction keeps the version that it was made from; that of a bundle is elsewhere.
  const folded = parent !== undefined && existsSync(join(root, parent.version)) ? parent.changed : 0;
  const holdsVersion =
    contentDigest(manifest) === digest || (manifest.lineage ?? []).some((one) => one.digest === digest);
  if (since === 0 && (folded === 0 || holdsVersion)) return;
  const what =
    since > 0
      ? `${since} ${since === 1 ? 'change' : 'changes'} made since version ${published.version}`
      : `the changes that were folded into version ${published.version}`;
  throw new NearvoteError(
    'changes_left_out',
    `Expected a bundle that holds all that was changed in ${basename(resolve(root))} but it lacks ${what}; replace=true publishes it all the same, and what is served now stays as a version`,
  );
}

/** The sequence that the version has: a journal that is there already goes on after its last change, none of which is in it. */
async function sequenceAfter(root: string, manifest: IndexManifest): Promise<number | undefined> {
  if (!existsSync(join(root, currentFile))) return manifest.sequence;
  using journal = await readJournal(root, await readPublished(root));
  return journal?.head ?? manifest.sequence;
}

function publish({ root, staged, keep }: Unpacking, manifest: IndexManifest): Promise<Published> {
  // One that was imported, replaced and is imported again while its folder is still there.
  const isThere = existsSync(join(root, versionName(manifest)));
  const createdAt = isThere ? new Date().toISOString() : manifest.createdAt;
  return staged.publish({ manifest: { ...manifest, createdAt }, keep });
}

/** What a failed import has made of a folder for it. */
async function removeEmpty(root: string): Promise<void> {
  await rm(join(root, '.leases'), { recursive: true, force: true });
  await rmdir(root).catch(() => undefined);
}
