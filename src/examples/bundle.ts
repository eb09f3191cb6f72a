import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { Header } from 'tar';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import type { FileDigest } from '../files/digest.js';
import { parseJson } from './index-store.js';

/*
 * A bundle is an index as one file: a plain tar of a list, `bundle.json`, and of what it lists, in that order and with nothing
 * else. Every byte of it follows from what it holds, so that the same version gives the same bundle everywhere, and whatever
 * is not as it would be written is refused: no name, link or padding of somebody's own is ever looked at.
 */

const listName = 'bundle.json';
const mostListBytes = 1 << 20;
const blockBytes = 512;
const endBytes = 2 * blockBytes;

/** Plain names: a bundle has no other folders than these two. */
const pathPattern =
  /^(?:index\/(?:manifest\.json|calibration\.json|canaries\.json|examples\.jsonl|rejects\.jsonl|embeddings\.f32|vectors\.hnsw)|encoder\/[A-Za-z0-9_][A-Za-z0-9._-]{0,80})$/;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const required = ['manifest.json', 'examples.jsonl', 'rejects.jsonl', 'embeddings.f32'];

const listSchema = z.strictObject({
  schemaVersion: z.literal(1, 'Expected 1, but another version of nearvote wrote it'),
  /** Of the index that it was made of. */
  name: z.string().regex(/^[^./\\\0][^/\\\0]*$/, 'Expected a plain name'),
  version: z.string().min(1),
  files: z
    .array(z.strictObject({ path: z.string().regex(pathPattern), sha256, bytes: z.int().min(0) }))
    .refine((files) => new Set(files.map(({ path }) => path)).size === files.length, 'Expected each once')
    .refine(([first]) => first?.path === 'index/manifest.json', 'Expected the manifest first')
    .refine(
      (files) => required.every((name) => files.some(({ path }) => path === `index/${name}`)),
      `Expected ${required.join(', ')} of an index`,
    ),
});

/** `bundle.json`: `sha256` is of all the rest, so that a flipped bit is noticed there too. */
const listFileSchema = listSchema.extend({ sha256 });

export type BundleList = z.infer<typeof listSchema>;

/** Whether a file of an encoder's folder can be in a bundle. */
export const isBundled = (name: string): boolean => pathPattern.test(`encoder/${name}`);

const paddingOf = (bytes: number): number => (blockBytes - (bytes % blockBytes)) % blockBytes;

/** Of a plain file, without anything of the machine it was on. */
function headerOf(path: string, size: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  new Header({ path, size, type: 'File', mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) }).encode(block, 0);
  return block;
}

/** @throws NearvoteError `index_invalid` for what no bundle may hold */
function checked(list: BundleList): BundleList {
  const parsed = listSchema.safeParse(list);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const message = issue?.message ?? '';
  throw new NearvoteError(
    'index_invalid',
    `Expected an index that can be bundled but its ${issue?.path.join('.') ?? ''} is wrong: ${message}`,
  );
}

const selfDigest = (list: BundleList): string =>
  createHash('sha256')
    .update(JSON.stringify(listSchema.parse(list)))
    .digest('hex');

function listBytes(list: BundleList): Buffer {
  return Buffer.from(`${JSON.stringify({ ...listSchema.parse(list), sha256: selfDigest(list) })}\n`);
}

/** A file of a bundle: what its bytes are comes when they are asked for. */
export interface BundledFile extends FileDigest {
  readonly path: string;
  readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * Writes a bundle from its start, each file held against what the list says of it.
 * @returns the sha256 of the whole
 * @throws NearvoteError `index_invalid` for a file that is not what its digest says, and the file system's own error
 */
export async function writeBundle(
  file: FileHandle,
  { files, ...about }: Omit<BundleList, 'files'> & { readonly files: readonly BundledFile[] },
): Promise<FileDigest> {
  const whole = createHash('sha256');
  let bytes = 0;
  const put = async (piece: Uint8Array): Promise<void> => {
    whole.update(piece);
    bytes += piece.length;
    await file.writeFile(piece);
  };
  const named = files.map(({ path, sha256: digest, bytes: size }) => ({ path, sha256: digest, bytes: size }));
  const list = listBytes(checked({ ...about, files: named }));
  if (list.length > mostListBytes) {
    throw new NearvoteError(
      'index_invalid',
      `Expected at most ${mostListBytes} bytes of names but received more`,
    );
  }
  await put(headerOf(listName, list.length));
  await put(list);
  await put(Buffer.alloc(paddingOf(list.length)));
  for (const { path, sha256: digest, bytes: size, content } of files) {
    await put(headerOf(path, size));
    const hash = createHash('sha256');
    let written = 0;
    for await (const piece of content()) {
      hash.update(piece);
      written += piece.length;
      if (written > size) break;
      await put(piece);
    }
    if (written !== size || hash.digest('hex') !== digest) {
      throw new NearvoteError('index_invalid', `Expected ${path} to be what its manifest says but it is not`);
    }
    await put(Buffer.alloc(paddingOf(size)));
  }
  await put(Buffer.alloc(endBytes));
  return { sha256: whole.digest('hex'), bytes };
}

/** A bundle that is read from its start to its end, once. */
export interface BundleReading extends AsyncDisposable {
  readonly list: BundleList;
  /**
   * Gives each file in its order to `take`, which is to read all of it.
   * @returns the sha256 of the whole
   * @throws NearvoteError `bundle_invalid` naming what is not as it was written, and what `take` throws
   */
  each(take: (path: string, content: AsyncIterable<Uint8Array>) => Promise<void>): Promise<string>;
}

/**
 * Opens a bundle and reads its list. A file that is shorter or longer than the list says is refused before anything else is
 * read: it never holds more than its own size.
 * @throws NearvoteError `bundle_invalid`
 */
export async function openBundle(path: string): Promise<BundleReading> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw invalid(path, 'it cannot be read', { cause });
  });
  const whole = createHash('sha256');
  const close = (): Promise<void> => file.close();
  try {
    const list = await readList(path, file, whole);
    return {
      list,
      each: (take) => readFiles(path, file, { list, whole, take }),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    if (error instanceof NearvoteError) throw error;
    throw invalid(path, 'it cannot be read', { cause: error });
  }
}

async function readList(path: string, file: FileHandle, whole: Hash): Promise<BundleList> {
  const stats = await file.stat();
  const head = await readExactly(path, file, blockBytes);
  const size =
    head.subarray(0, 12).toString('latin1') === `${listName}\0` ? new Header(head).size : undefined;
  if (
    !stats.isFile() ||
    size === undefined ||
    size > mostListBytes ||
    !head.equals(headerOf(listName, size))
  ) {
    throw invalid(path, 'it is another file, or compressed: decompress it first');
  }
  const bytes = await readExactly(path, file, size);
  const parsed = listFileSchema.safeParse(parseJson(bytes.toString('utf8')));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(path, `${[listName, ...(issue?.path ?? [])].join('.')} is wrong: ${issue?.message ?? ''}`);
  }
  const { sha256: own, ...list } = parsed.data;
  if (selfDigest(list) !== own || !listBytes(list).equals(bytes)) {
    throw invalid(path, `${listName} was changed since it was written`);
  }
  const padded = list.files.map(({ bytes: one }) => blockBytes + one + paddingOf(one));
  const expected = padded.reduce((sum, one) => sum + one, blockBytes + size + paddingOf(size) + endBytes);
  if (stats.size !== expected) {
    const why = stats.size < expected ? 'it was cut short' : 'something was added to it';
    throw invalid(path, `it has ${stats.size} bytes and not ${expected}: ${why}`);
  }
  whole.update(head).update(bytes);
  await readZeros(path, file, { bytes: paddingOf(size), whole });
  return list;
}

interface FilesReading {
  readonly list: BundleList;
  readonly whole: Hash;
  readonly take: Parameters<BundleReading['each']>[0];
}

async function readFiles(path: string, file: FileHandle, reading: FilesReading): Promise<string> {
  const { list, whole, take } = reading;
  for (const { path: name, bytes, sha256: digest } of list.files) {
    const head = await readExactly(path, file, blockBytes);
    if (!head.equals(headerOf(name, bytes))) throw invalid(path, `${name} is not where it should be`);
    whole.update(head);
    const hash = createHash('sha256');
    await take(name, contentOf(path, file, { bytes, hashes: [whole, hash] }));
    if (hash.digest('hex') !== digest) throw invalid(path, `${name} is not what it was when it was written`);
    await readZeros(path, file, { bytes: paddingOf(bytes), whole });
  }
  await readZeros(path, file, { bytes: endBytes, whole });
  return whole.digest('hex');
}

const pieceBytes = 1 << 20;

async function* contentOf(
  path: string,
  file: FileHandle,
  { bytes, hashes }: { readonly bytes: number; readonly hashes: readonly Hash[] },
): AsyncGenerator<Uint8Array> {
  for (let left = bytes; left > 0;) {
    const piece = await readExactly(path, file, Math.min(pieceBytes, left));
    for (const hash of hashes) hash.update(piece);
    left -= piece.length;
    yield piece;
  }
}

async function readZeros(
  path: string,
  file: FileHandle,
  { bytes, whole }: { readonly bytes: number; readonly whole: Hash },
): Promise<void> {
  const zeros = await readExactly(path, file, bytes);
  if (zeros.some((byte) => byte !== 0)) throw invalid(path, 'there is something between its files');
  whole.update(zeros);
}

async function readExactly(path: string, file: FileHandle, bytes: number): Promise<Buffer> {
  const into = Buffer.alloc(bytes);
  for (let done = 0; done < bytes;) {
    const { bytesRead } = await file.read(into, done, bytes - done);
    if (bytesRead === 0) throw invalid(path, 'it was cut short');
    done += bytesRead;
  }
  return into;
}

function invalid(path: string, why: string, options?: ErrorOptions): NearvoteError {
  return new NearvoteError(
    'bundle_invalid',
    `Expected a bundle in ${path}, as nearvote index export writes it, but ${why}`,
    options,
  );
}
