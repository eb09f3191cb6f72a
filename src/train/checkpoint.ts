import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncPath, writing } from '../files/durable.js';
import type { CheckpointHeader } from './checkpoint-schema.js';
import { checkpointHeaderSchema } from './checkpoint-schema.js';

/** Everything that training needs to go on as if it had not stopped. */
export interface Checkpoint extends Omit<CheckpointHeader, 'version' | 'tensors'> {
  /** Parameters, optimizer state and averages. */
  readonly tensors: Readonly<Record<string, Float32Array>>;
}

/**
 * The layout: the magic, the header's length as uint32 (little-endian), the header as JSON, the tensors one after
 * another as float32, and the sha256 of all that.
 */
export const checkpointLayout = {
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
export function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
