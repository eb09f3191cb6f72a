import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { NearvoteError } from '../domain/errors.js';
import { checkpointHeaderSchema, type CheckpointHeader } from './checkpoint-schema.js';
import { bytesOf, checkpointLayout, type Checkpoint } from './checkpoint.js';

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
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
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
