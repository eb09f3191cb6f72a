import { access, constants, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { checkFile, type PublishedVersion } from '../examples/index-store.js';
import { digestFile } from '../files/digest.js';
import { lockFolder } from '../files/lock.js';
import { loadHnswModule, type HnswModule } from '../neighbours/hnsw.js';
import { openSearcher } from '../neighbours/open-searcher.js';

export interface VerifyGraphOptions extends Pick<PublishedVersion, 'dir' | 'manifest'> {
  /** `index/<name>`, which the version's folder is in. */
  readonly root: string;
  /** hnswlib-node, unless told. */
  readonly loadHnsw?: (() => Promise<HnswModule | undefined>) | undefined;
}

const graphFile = 'vectors.hnsw';

/**
 * Holds the graph of a version, whose embeddings are whole, against its hash, and makes it anew where it is another one.
 * @returns what was made anew, in a sentence
 * @throws NearvoteError `index_invalid` for a graph that is wrong and cannot be made anew here
 */
export async function verifyGraph(options: VerifyGraphOptions): Promise<string | undefined> {
  const wrong = await wrongGraph(options);
  if (wrong === undefined) return undefined;
  const { root, dir, loadHnsw = loadHnswModule } = options;
  const refusal = (why: string, cause?: unknown): NearvoteError =>
    new NearvoteError('index_invalid', `${wrong.message}. It cannot be made anew: ${why}`, { cause });
  if ((await loadHnsw()) === undefined) throw refusal('hnswlib-node does not load here');
  try {
    await access(dir, constants.W_OK);
    // No build may remove the version meanwhile, nor another process do the same.
    const lock = await lockFolder(root);
    try {
      return `${wrong.message}. ${await makeAnew(options, wrong.files)}`;
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw refusal(messageOf(error), error);
  }
}

interface WrongGraph {
  readonly message: string;
  /** What has to go. */
  readonly files: readonly string[];
}

/** A graph that was derived here bears its hash in its name; a version may travel without any. */
async function wrongGraph({ dir, manifest }: VerifyGraphOptions): Promise<WrongGraph | undefined> {
  const expected = manifest.files[graphFile];
  if (expected === undefined) return undefined;
  const path = join(dir, graphFile);
  try {
    await checkFile(path, expected);
  } catch (error) {
    return { message: messageOf(error), files: [path] };
  }
  for (const name of await readdir(dir)) {
    const sha256 = /^derived-([0-9a-f]{64})\.hnsw$/.exec(name)?.[1];
    if (sha256 === undefined) continue;
    const derived = join(dir, name);
    if ((await digestFile(derived)).sha256 === sha256) continue;
    return {
      message: `Expected ${derived} to have the sha256 of its name but it has another`,
      files: [derived],
    };
  }
  return undefined;
}

async function makeAnew(
  { dir, manifest, loadHnsw }: VerifyGraphOptions,
  wrong: readonly string[],
): Promise<string> {
  for (const file of wrong) await rm(file);
  // It derives what is missing, and keeps it.
  const searcher = await openSearcher({ dir, manifest, mode: 'auto', threads: 1, loadHnsw });
  await searcher.close();
  const expected = manifest.files[graphFile]?.sha256;
  const same = join(dir, `derived-${expected ?? ''}.hnsw`);
  const isSame = await access(same).then(
    () => true,
    () => false,
  );
  if (!isSame) return 'It was made anew from the embeddings, by another build of hnswlib';
  await rename(same, join(dir, graphFile));
  return 'It was made anew from the embeddings, and is what it was';
}
