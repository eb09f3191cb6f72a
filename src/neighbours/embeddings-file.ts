import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';

/** The bytes of float32 values as the file holds them: little-endian, row-major. */
export function littleEndianBytes(values: Float32Array): Uint8Array {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}

export interface EmbeddingsFileOptions {
  readonly path: string;
  readonly count: number;
  readonly dimension: number;
}

/**
 * Reads `embeddings.f32`, `[count, dimension]`.
 * @throws NearvoteError `index_invalid` when it is missing, has another size or rows not of unit length
 */
export async function readEmbeddingsFile(options: EmbeddingsFileOptions): Promise<Embeddings> {
  const { path, count, dimension } = options;
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new NearvoteError('index_invalid', 'Expected embeddings.f32 but it cannot be read', { cause });
  }
  const expected = count * dimension * 4;
  if (bytes.length !== expected) {
    throw new NearvoteError(
      'index_invalid',
      `Expected embeddings.f32 to hold ${expected} bytes but it holds ${bytes.length}`,
    );
  }
  if (endianness() !== 'LE') bytes.swap32();
  try {
    return asEmbeddings(new Float32Array(bytes.buffer, bytes.byteOffset, count * dimension), dimension);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NearvoteError('index_invalid', `embeddings.f32: ${why}`, { cause });
  }
}
