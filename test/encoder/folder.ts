import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** An empty folder that goes when the test ends. */
export async function emptyFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'nearvote-encoder-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Writes encoder.json for files that lie in `dir` already; `changes` replaces whole fields. */
export async function writeManifest(
  dir: string,
  files: readonly string[],
  changes: object = {},
): Promise<void> {
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(join(dir, file)));
  const manifest = {
    name: 'tiny',
    version: '1.0.0',
    format: 'onnx',
    file: files[0],
    sha256: hash.digest('hex'),
    input: { name: 'pixels', width: 8, height: 8, fit: 'fill', kernel: 'cubic' },
    output: { name: 'embeddings', dimension: 5 },
    trainedOn: [],
    metrics: {},
    licence: 'none',
    ...changes,
  };
  await writeFile(join(dir, 'encoder.json'), JSON.stringify(manifest));
}

/** Uniform numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function randomPixels(seed: number, length: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}
