import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, realpath, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { asEmbeddings } from '../domain/embeddings.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { isBundled, openBundle, type BundleReading } from '../examples/bundle.js';
import { installCalibration, parseCalibration } from '../examples/calibration-file.js';
import {
  checkEncoder,
  currentFile,
  readIndexManifest,
  readPublished,
  readVersion,
  type IndexManifest,
} from '../examples/index-store.js';
import { journalFile } from '../examples/journal-file.js';
import { stageVersion, versionName, type Published, type StagedVersion } from '../examples/publish.js';
import { lockWriter } from '../examples/writer.js';
import { digestFile } from '../files/digest.js';
import { syncPath, writing } from '../files/durable.js';
import { floatsOfLittleEndian } from '../files/float32.js';
import { readJournal } from './kept-versions.js';

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
}

/**
 * Makes an index of a bundle: everything is checked before anything is seen, and then published by one rename.
 * @throws NearvoteError `bundle_invalid`, `output_exists`, `index_readonly`, `output_unwritable`; then all is as it was
 */
export async function importIndex(options: ImportOptions): Promise<ImportedIndex> {
  const { file, replace } = options;
  await using bundle = await openBundle(file);
  const root = options.root(bundle.list.name);
  return await writing(root, async () => {
    checkPlace(root, replace);
    const isNew = !existsSync(root);
    await mkdir(root, { recursive: true });
    try {
      const writer = await lockWriter(root);
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
        await writer.release();
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
  const { root, staged, file, models } = options;
  const { list } = bundle;
  const hasEncoder = list.files.some(({ path }) => path.startsWith('encoder/'));
  const drafts = hasEncoder ? await draftFolder(models) : undefined;
  try {
    let manifest: IndexManifest | undefined;
    const digest = await bundle.each(async (path, content) => {
      const [folder, name = ''] = path.split('/');
      const into = join(folder === 'encoder' && drafts !== undefined ? drafts : staged.dir, name);
      const checked =
        name === 'embeddings.f32' && manifest !== undefined ? unit(file, content, manifest) : content;
      await writeFrom(into, checked);
      if (path === 'index/manifest.json') manifest = await readManifest(file, staged.dir);
    });
    const expected = options.sha256 ?? /-([0-9a-f]{64})\.tar$/.exec(basename(file))?.[1];
    if (expected !== undefined && expected !== digest) {
      throw wrong(file, `its sha256 is ${digest} and not ${expected}`);
    }
    if (manifest === undefined) throw wrong(file, 'it has no manifest');
    await checkVersion(file, staged.dir, manifest);
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
      encoder: await located(root, { manifest, encoder }),
    });
    if (!isNew && text !== undefined) await installCalibration(root, text);
    return {
      name: basename(resolve(root)),
      ...{ root, version: published.version, examples: manifest.examples },
      ...{ sequence: sequence ?? 0, sha256: digest, wasExpected: expected !== undefined, encoder },
    };
  } finally {
    if (drafts !== undefined) await rm(dirname(drafts), { recursive: true, force: true });
  }
}

async function readManifest(file: string, dir: string): Promise<IndexManifest> {
  try {
    return await readIndexManifest(dir);
  } catch (cause) {
    throw wrong(file, `its manifest is none: ${messageOf(cause)}`, { cause });
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
      throw wrong(file, `embeddings.f32: ${messageOf(cause)}`, { cause });
    }
    rest = bytes.subarray(whole);
    yield piece;
  }
}

async function writeFrom(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for await (const piece of content) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
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
    throw wrong(file, `of what it holds: ${error.message.replaceAll(`${dir}${sep}`, '')}`, { cause: error });
  }
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

/** Out of sight beside where the encoder will be. */
async function draftFolder(models: string): Promise<string> {
  await mkdir(models, { recursive: true });
  const drafts = join(await mkdtemp(join(models, '.import.nearvote-')), 'new');
  await mkdir(drafts);
  return drafts;
}

/**
 * Gives the encoder that came along its place; one that is there and is the same stays.
 * @returns its folder
 */
async function placeEncoder(
  drafts: string,
  { models, manifest, file }: Pick<Unpacking, 'models' | 'file'> & { readonly manifest: IndexManifest },
): Promise<string> {
  const { name } = manifest.encoder;
  if (!isBundled(name)) throw wrong(file, `${JSON.stringify(name)} is no name of an encoder's folder`);
  const isOwn = async (dir: string): Promise<boolean> => {
    const encoder = await readEncoderManifest(dir);
    checkEncoder({ name: basename(file), manifest }, encoderIdentity(encoder));
    return encoder.format !== 'onnx' || (await digestFile(join(dir, encoder.file))).sha256 === encoder.sha256;
  };
  if (!(await isOwn(drafts).catch(() => false))) throw wrong(file, 'its encoder is not the one of its index');
  const place = join(models, name);
  if (!existsSync(place)) {
    await rename(drafts, place);
    await syncPath(models);
  } else if (!(await isOwn(place).catch(() => false))) {
    throw new NearvoteError(
      'output_exists',
      `Expected no other encoder at ${place} but there is one; --models names another folder of encoders`,
    );
  }
  return place;
}

interface Locating {
  readonly manifest: IndexManifest;
  readonly encoder: string | undefined;
}

/** Says where an encoder is that came along, from the folder of the index. */
async function located(root: string, { manifest, encoder }: Locating): Promise<IndexManifest['encoder']> {
  const identity = { ...manifest.encoder, path: undefined };
  if (encoder === undefined) return identity;
  const path = relative(await realpath(root), await realpath(encoder));
  return { ...identity, path: path.split(sep).join('/') };
}

/** What a failed import has made of a folder for it. */
async function removeEmpty(root: string): Promise<void> {
  await rm(join(root, '.leases'), { recursive: true, force: true });
  await rmdir(root).catch(() => undefined);
}

function wrong(file: string, why: string, options?: ErrorOptions): NearvoteError {
  return new NearvoteError('bundle_invalid', `Expected a whole bundle in ${file} but ${why}`, options);
}
