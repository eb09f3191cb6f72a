import { join } from 'node:path';
import type { Example } from '../domain/decision.js';
import { littleEndianBytes } from '../files/float32.js';
import { exampleLine } from '../examples/examples-file.js';
import type { FileDigest } from '../files/digest.js';
import { createHashedFile } from '../files/digest.js';

/** The files of a version that grow row by row. */
export interface VersionFiles {
  addExample(example: Example, embedding: Float32Array): void;
  /** `id` is the image's in its dataset: a path. */
  addReject(reject: { readonly id: string; readonly code: string; readonly message: string }): void;
  close(): Record<'examples.jsonl' | 'embeddings.f32' | 'rejects.jsonl', FileDigest>;
}

/** Creates them in the folder of a staged version. @throws the file system's own error */
export function createVersionFiles(dir: string): VersionFiles {
  const examples = createHashedFile(join(dir, 'examples.jsonl'));
  const embeddings = createHashedFile(join(dir, 'embeddings.f32'));
  const rejects = createHashedFile(join(dir, 'rejects.jsonl'));
  return {
    addExample: (example, embedding) => {
      examples.write(Buffer.from(exampleLine(example)));
      embeddings.write(littleEndianBytes(embedding));
    },
    addReject: ({ id, code, message }) => {
      rejects.write(Buffer.from(`${JSON.stringify({ id, code, message })}\n`));
    },
    close: () => ({
      'examples.jsonl': examples.close(),
      'embeddings.f32': embeddings.close(),
      'rejects.jsonl': rejects.close(),
    }),
  };
}
