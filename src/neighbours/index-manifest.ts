import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const fileSchema = z.strictObject({ sha256: sha256Schema, bytes: z.int().min(0) });

/** `index/<name>/<version>/manifest.json`. */
export const indexManifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  encoder: z.strictObject({ name: z.string().min(1), version: z.string().min(1), sha256: sha256Schema }),
  dataset: z.string(),
  dimension: z.int().min(1),
  space: z.literal('ip'),
  m: z.int().min(2),
  efConstruction: z.int().min(1),
  ef: z.int().min(1),
  seed: z.int().min(0),
  examples: z.int().min(1),
  /** A list and not an object: a label may be `__proto__`. */
  labels: z.array(z.strictObject({ label: z.string(), examples: z.int().min(1) })).min(1),
  createdAt: z.iso.datetime(),
  /** Index recall@k; null where no graph was built. */
  recall: z
    .strictObject({ k: z.int().min(0), queries: z.int().min(1), value: z.number().min(0).max(1) })
    .nullable(),
  files: z.strictObject({
    'examples.jsonl': fileSchema,
    'embeddings.f32': fileSchema,
    'rejects.jsonl': fileSchema,
    /** Absent where hnswlib-node could not be built: search is exact then. */
    'vectors.hnsw': fileSchema.optional(),
  }),
});

export type IndexManifest = z.infer<typeof indexManifestSchema>;

export const manifestFile = 'manifest.json';

/**
 * Reads the manifest of a published version.
 * @throws NearvoteError `index_missing`, or `index_invalid` naming the field that is wrong
 */
export async function readIndexManifest(dir: string): Promise<IndexManifest> {
  let text: string;
  try {
    text = await readFile(join(dir, manifestFile), 'utf8');
  } catch (cause) {
    throw new NearvoteError(
      'index_missing',
      `Expected an index version in ${dir} but it has no manifest.json`,
      {
        cause,
      },
    );
  }
  const parsed = indexManifestSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path.join('.') ?? '';
    throw new NearvoteError(
      'index_invalid',
      `Expected a valid manifest.json in ${dir} but ${field === '' ? 'the whole' : field} is wrong: ${issue?.message ?? ''}`,
    );
  }
  return parsed.data;
}

/** Text that is not JSON reads as undefined, which no schema here accepts. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
