import { createHash } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import { syncPath, writing } from '../files/durable.js';

const count = z.int().min(0);

/** What a checkpoint says in its header, before the tensors. */
const checkpointHeaderSchema = z.strictObject({
  version: z.literal(1),
  config: z.strictObject({ name: z.string(), hash: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** Steps that are done. */
  step: count,
  /** The next batch. */
  place: z.strictObject({ epoch: count, step: count }),
  /** Of the epoch under way. */
  losses: z.strictObject({ sum: z.number(), count }),
  /** Of training, over all its runs. */
  elapsedSeconds: z.number().min(0),
  /** The best validation so far; null before the first. */
  best: z.strictObject({ metric: z.string(), value: z.number(), step: count }).nullable(),
  /** A line for each thing that was logged, oldest first. */
  history: z.array(z.record(z.string(), z.number())),
  /** float32, in the order in which they follow. */
  tensors: z.array(z.strictObject({ name: z.string(), length: count })),
});

type CheckpointHeader = z.infer<typeof checkpointHeaderSchema>;

/** Everything that training needs to go on as if it had not stopped. */
export interface Checkpoint extends Omit<CheckpointHeader, 'version' | 'tensors'> {
  /** Parameters, optimizer state and averages. */
  readonly tensors: Readonly<Record<string, Float32Array>>;
}

/**
 * The layout: the magic, the header's length as uint32 (little-endian), the header as JSON, the tensors one after
 * another as float32, and the sha256 of all that.
 */
const checkpointLayout = {
  magic: Buffer.from('nvckpt1\n', 'latin1'),
  prefixBytes: 12,
  digestBytes: 32,
} as const;

/**
 * Writes a checkpoint beside `path` and renames it when it is on the disk: whatever happens, and whenever, `path` is the
 * last complete one. One process at a time.
 * @throws NearvoteError `output_unwritable`, such as for a full disk; the old one stays
 */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { tensors, ...rest } = checkpoint;
  const entries = Object.entries(tensors);
  const header = checkpointHeaderSchema.parse({
    version: 1,
    ...rest,
    tensors: entries.map(([name, { length }]) => ({ name, length })),
  } satisfies CheckpointHeader);
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const parts = [checkpointLayout.magic, length, text, ...entries.map(([, values]) => bytesOf(values))];

  // What a killed process left under this name is written over.
  const staged = `${path}.staging`;
  await writing(dirname(path), async () => {
    try {
      await writeParts(staged, parts);
      await rename(staged, path);
      await syncPath(dirname(path));
    } catch (error) {
      await rm(staged, { force: true });
      throw error;
    }
  });
}

async function writeParts(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  try {
    for (const part of parts) {
      hash.update(part);
      await file.writeFile(part);
    }
    await file.writeFile(hash.digest());
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The same memory as bytes. */
function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

const { magic, prefixBytes, digestBytes } = checkpointLayout;

/** What the checkpoint must be of. */
export interface ExpectedConfig {
  readonly name: string;
  readonly hash: string;
}

/**
 * Reads a checkpoint; undefined where there is none.
 * @throws NearvoteError `checkpoint_invalid` where it is damaged, or of another config than `expected`
 */
export async function readCheckpoint(
  path: string,
  expected: ExpectedConfig,
): Promise<Checkpoint | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const reason = systemCodeOf(cause);
    if (reason === 'ENOENT') return undefined;
    throw invalid(path, `it cannot be read (${reason})`, cause);
  }
  try {
    const { header, tensors } = await readContent(file, path);
    requireConfig(header, path, expected);
    const { config, step, place, losses, elapsedSeconds, best, history } = header;
    return { config, step, place, losses, elapsedSeconds, best, history, tensors };
  } finally {
    await file.close();
  }
}

interface Content {
  readonly header: CheckpointHeader;
  readonly tensors: Record<string, Float32Array>;
}

async function readContent(file: FileHandle, path: string): Promise<Content> {
  const hash = createHash('sha256');
  const take = async (bytes: Uint8Array): Promise<Uint8Array> => {
    await fill(file, bytes, path);
    hash.update(bytes);
    return bytes;
  };
  const { size } = await file.stat();
  if (size < prefixBytes + digestBytes) throw invalid(path, `it has only ${size} bytes`);
  const prefix = Buffer.from(await take(new Uint8Array(prefixBytes)));
  if (!prefix.subarray(0, magic.length).equals(magic)) throw invalid(path, 'it is another kind of file');
  const headerBytes = prefix.readUInt32LE(magic.length);
  if (prefixBytes + headerBytes + digestBytes > size) throw invalid(path, `it is cut off at ${size} bytes`);
  const header = parseHeader(await take(new Uint8Array(headerBytes)), path);

  const values = header.tensors.reduce((sum, { length }) => sum + length, 0);
  const whole = prefixBytes + headerBytes + 4 * values + digestBytes;
  if (size !== whole) throw invalid(path, `it has ${size} bytes where its header tells of ${whole}`);
  const tensors: Record<string, Float32Array> = {};
  for (const { name, length } of header.tensors) {
    const tensor = new Float32Array(length);
    await take(bytesOf(tensor));
    tensors[name] = tensor;
  }
  const digest = new Uint8Array(digestBytes);
  await fill(file, digest, path);
  if (!hash.digest().equals(digest)) throw invalid(path, 'its bytes do not have the sha256 at its end');
  return { header, tensors };
}

/** From where the last read ended. */
async function fill(file: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  for (let filled = 0; filled < bytes.length;) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, null);
    if (bytesRead === 0) throw invalid(path, 'it was cut off while it was read');
    filled += bytesRead;
  }
}

function parseHeader(bytes: Uint8Array, path: string): CheckpointHeader {
  try {
    return checkpointHeaderSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw invalid(path, 'its header is damaged', cause);
  }
}

function requireConfig({ config }: CheckpointHeader, path: string, expected: ExpectedConfig): void {
  if (config.hash === expected.hash) return;
  const inWords = ({ name, hash }: ExpectedConfig): string => `${name} (${hash.slice(0, 12)})`;
  throw new NearvoteError(
    'checkpoint_invalid',
    `Expected a checkpoint of the config ${inWords(expected)} in ${path} but it is of ${inWords(config)}: ` +
      'go on with that config, or train into another folder',
  );
}

function invalid(path: string, why: string, cause?: unknown): NearvoteError {
  return new NearvoteError('checkpoint_invalid', `Expected a whole checkpoint in ${path} but ${why}`, {
    cause,
  });
}
