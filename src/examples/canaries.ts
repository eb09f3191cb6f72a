import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { dot } from '../domain/embeddings.js';
import { floatsOfLittleEndian, littleEndianBytes } from '../files/float32.js';
import { parseJson, readVersion, type PublishedVersion } from './index-store.js';

/** In a bundle, and in no version's folder: it follows from the rows. */
export const canariesPath = 'index/canaries.json';

/** Questions, and examples that each answer names. */
const mostQueries = 8;
const mostNeighbours = 5;

const canariesSchema = z.strictObject({
  schemaVersion: z.literal(1),
  queries: z
    .array(
      z.strictObject({
        /** `[dimension]`, float32, little-endian, in base64. */
        embedding: z.base64(),
        /** The nearest examples by exact search, nearest first; cosines rounded to a millionth. */
        neighbours: z
          .array(
            z.strictObject({ id: z.string(), label: z.string(), similarity: z.number().min(-1.1).max(1.1) }),
          )
          .min(1)
          .max(mostNeighbours),
      }),
    )
    .max(mostQueries),
});

/** What an index answered when it was bundled: whoever loads the bundle asks again before anybody else does. */
export type Canaries = z.infer<typeof canariesSchema>;

/** Undefined for a text that is none. */
export function parseCanaries(text: string): Canaries | undefined {
  return canariesSchema.safeParse(parseJson(text)).data;
}

/** `[dimension]` */
export function canaryEmbedding({ embedding }: Canaries['queries'][number]): Float32Array {
  return floatsOfLittleEndian(Buffer.from(embedding, 'base64'));
}

const piece = 4_096;

interface Near {
  readonly row: number;
  readonly similarity: number;
}

/**
 * Asks for the nearest of a few examples, spread evenly over a version. The sums are of doubles in one order, so that every
 * machine writes the same text.
 * @throws NearvoteError `index_invalid` for a version that is not whole
 */
export async function recordCanaries({
  dir,
  manifest,
}: Pick<PublishedVersion, 'dir' | 'manifest'>): Promise<string> {
  const examples = await readVersion({ dir, manifest });
  const { dimension } = manifest;
  const rowBytes = dimension * 4;
  const count = Math.min(mostQueries, examples.length);
  const rows = Array.from({ length: count }, (_, i) => Math.floor((i * examples.length) / count));
  const file = await open(join(dir, 'embeddings.f32'), 'r');
  const read = async (row: number, some: number): Promise<Float32Array> => {
    const bytes = Buffer.alloc(some * rowBytes);
    await file.read(bytes, 0, bytes.length, row * rowBytes);
    return floatsOfLittleEndian(bytes);
  };
  try {
    const asked = await Promise.all(rows.map((row) => read(row, 1)));
    const nearest: Near[][] = asked.map(() => []);
    for (let first = 0; count > 0 && first < examples.length; first += piece) {
      const some = Math.min(piece, examples.length - first);
      const values = await read(first, some);
      for (const [i, query] of asked.entries()) {
        for (let row = 0; row < some; row++) {
          keep(nearest[i] ?? [], {
            row: first + row,
            similarity: dot(query, 0, values, row * dimension, dimension),
          });
        }
      }
    }
    const queries = asked.map((query, i) => ({
      embedding: Buffer.from(littleEndianBytes(query)).toString('base64'),
      neighbours: (nearest[i] ?? []).map(({ row, similarity }) => ({
        ...{ id: examples[row]?.id ?? '', label: examples[row]?.label ?? '' },
        similarity: Math.round(similarity * 1e6) / 1e6,
      })),
    }));
    return `${JSON.stringify(canariesSchema.parse({ schemaVersion: 1, queries }))}\n`;
  } finally {
    await file.close();
  }
}

/** Equal ones stay in the order of the rows. */
function keep(nearest: Near[], found: Near): void {
  const last = nearest.at(-1);
  if (nearest.length === mostNeighbours && last !== undefined && found.similarity <= last.similarity) return;
  const at = nearest.findIndex(({ similarity }) => found.similarity > similarity);
  nearest.splice(at === -1 ? nearest.length : at, 0, found);
  nearest.length = Math.min(nearest.length, mostNeighbours);
}
