import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { isBundled, writeBundle, type BundledFile } from '../examples/bundle.js';
import { canariesPath, recordCanaries } from '../examples/canaries.js';
import { calibrationText } from '../examples/calibration-file.js';
import { contentDigest, readPublished, type PublishedVersion } from '../examples/index-store.js';
import { leaseVersion, type Lease } from '../examples/lease.js';
import { manifestText } from '../examples/publish.js';
import { digestBytes, digestFile } from '../files/digest.js';
import { syncPath, writing } from '../files/durable.js';
import { versionCalled } from './diff-index.js';
import { keptVersions, sequenceOf } from './kept-versions.js';

export interface ExportOptions {
  /** `index/<name>`. */
  readonly root: string;
  /** Folder that the bundle is written to; made where it is not there. */
  readonly out: string;
  /** One that is kept, by its name or how that begins or ends; the one that is served unless told. */
  readonly version?: string | undefined;
  /** Folder of the encoder, where that goes with it. */
  readonly encoderOf?: ((published: PublishedVersion) => Promise<string>) | undefined;
}

export interface ExportedIndex {
  readonly path: string;
  /** Of the file. */
  readonly sha256: string;
  readonly bytes: number;
  readonly name: string;
  readonly version: string;
  /** The last change that is in it. */
  readonly sequence: number;
  readonly examples: number;
}

/**
 * Writes the version that an index serves, without changes since, and its calibration as one file, called by its sha256. The
 * same version gives the same file, byte for byte.
 * @throws NearvoteError `index_*`, `output_unwritable`, `encoder_*`, `usage` for a version that is not kept; then no file is left
 */
export function exportIndex(options: ExportOptions): Promise<ExportedIndex> {
  const { root, out, version } = options;
  return writing(out, async () => {
    const { published, lease } = await leasePublished(root, version);
    try {
      return await exportLeased(options, published);
    } finally {
      await lease.release();
    }
  });
}

const attempts = 3;

/** A build may publish, and remove what was published before, between the reading of the two. */
async function leasePublished(
  root: string,
  asked: string | undefined,
): Promise<{ readonly published: PublishedVersion; readonly lease: Lease }> {
  for (let attempt = 1; ; attempt++) {
    const published =
      asked === undefined
        ? await readPublished(root)
        : versionCalled({ versions: await keptVersions(root) }, asked);
    try {
      return { published, lease: await leaseVersion(root, published.version) };
    } catch (error) {
      const isGone = error instanceof NearvoteError && error.code === 'index_missing';
      if (!isGone || attempt === attempts) throw error;
    }
  }
}

async function exportLeased(options: ExportOptions, published: PublishedVersion): Promise<ExportedIndex> {
  const { root, out, encoderOf } = options;
  const { name, version, manifest } = published;
  const files = [
    ...(await filesOf(root, published)),
    ...(encoderOf === undefined ? [] : await encoderFiles(await encoderOf(published))),
  ];
  await mkdir(out, { recursive: true });
  const part = join(out, `.${version}-${randomBytes(4).toString('hex')}.part`);
  try {
    const file = await open(part, 'wx');
    const { sha256, bytes } = await writeBundle(file, { schemaVersion: 1, name, version, files })
      .then(async (digest) => {
        await file.sync();
        return digest;
      })
      .finally(() => file.close());
    const path = join(out, `${name}-${sha256}.tar`);
    await rename(part, path);
    await syncPath(dirname(path));
    const { examples } = manifest;
    return { path, sha256, bytes, name, version, sequence: sequenceOf(published), examples };
  } finally {
    await rm(part, { force: true });
  }
}

async function filesOf(root: string, { dir, version, manifest }: PublishedVersion): Promise<BundledFile[]> {
  const calibration = await calibrationText(root, { version, digest: contentDigest(manifest), manifest });
  const { 'vectors.hnsw': graph, ...rows } = manifest.files;
  const graphFile = join(dir, 'vectors.hnsw');
  // It follows from the embeddings: where it is another here, it is made anew there.
  const kept = graph === undefined ? undefined : await digestFile(graphFile).catch(() => undefined);
  const isOwn = graph !== undefined && kept?.sha256 === graph.sha256;
  return [
    // Where the encoder lies on this machine says nothing on another.
    ofText(
      'index/manifest.json',
      manifestText({ ...manifest, encoder: { ...manifest.encoder, path: undefined } }),
    ),
    ...(calibration === undefined ? [] : [ofText('index/calibration.json', calibration)]),
    ofText(canariesPath, await recordCanaries({ dir, manifest })),
    ...(['examples.jsonl', 'rejects.jsonl', 'embeddings.f32'] as const).map((file) => ({
      ...ofFile(`index/${file}`, join(dir, file)),
      ...rows[file],
    })),
    ...(isOwn ? [{ ...ofFile('index/vectors.hnsw', graphFile), ...graph }] : []),
  ];
}

/** The plain files of its folder, by name; a model has all of its own there. */
async function encoderFiles(dir: string): Promise<BundledFile[]> {
  const files: BundledFile[] = [];
  for (const name of (await readdir(dir)).filter(isBundled).sort()) {
    const path = join(dir, name);
    if (!(await stat(path)).isFile()) continue;
    files.push({ ...ofFile(`encoder/${name}`, path), ...(await digestFile(path)) });
  }
  return files;
}

const ofFile = (path: string, file: string): Pick<BundledFile, 'path' | 'content'> => ({
  path,
  content: () => createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>,
});

function ofText(path: string, text: string): BundledFile {
  const bytes = Buffer.from(text);
  return { path, ...digestBytes(bytes), content: () => [bytes] };
}
