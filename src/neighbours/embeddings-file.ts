import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { messageOf, NearvoteError } from '../domain/errors.js';

export interface EmbeddingsFileOptions {
  readonly path: string;
  readonly count: number;
  readonly dimension: number;
  /** What the file has to hash to, where that is known. */
  readonly sha256?: string | undefined;
}

/**
 * Reads `embeddings.f32`, `[count, dimension]`.
 * @throws NearvoteError `index_invalid` when it is missing, has another size or hash, or rows not of unit length
 */
export async function readEmbeddingsFile(options: EmbeddingsFileOptions): Promise<Embeddings> {
  const { path, count, dimension, sha256 } = options;
  const expected = count * dimension * 4;
  let values: Float32Array<ArrayBuffer>;
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size !== expected) {
        throw new NearvoteError(
          'index_invalid',
          `Expected embeddings.f32 to hold ${expected} bytes but it holds ${size}`,
        );
      }
      values = new Float32Array(count * dimension);
      await readWhole(file, new Uint8Array(values.buffer));
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof NearvoteError) throw cause;
    throw new NearvoteError('index_invalid', 'Expected embeddings.f32 but it cannot be read', { cause });
  }
  if (
    sha256 !== undefined &&
    createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex') !== sha256
  ) {
    throw new NearvoteError(
      'index_invalid',
      `Expected embeddings.f32 to have sha256 ${sha256} but it has another`,
    );
  }
  if (endianness() !== 'LE') Buffer.from(values.buffer).swap32();
  try {
    return asEmbeddings(values, dimension);
  } catch (cause) {
    const why = messageOf(cause);
    throw new NearvoteError('index_invalid', `embeddings.f32: ${why}`, { cause });
  }
}

const chunkBytes = 1 << 26;

/** Fills `into`, piece by piece: no call reads more than 2 GiB. */
async function readWhole(file: FileHandle, into: Uint8Array): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, Math.min(chunkBytes, into.length - done), done);
    if (bytesRead === 0) throw new Error(`the file ended after ${done} of ${into.length} bytes`);
    done += bytesRead;
  }
}
