import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { loadEncoder } from '../../src/encoder/load.js';
import { createDecoder } from '../../src/image/decode.js';

export interface SmallIndexOptions {
  readonly root: string;
  readonly encoderDir: string;
  readonly images: readonly { readonly label: string; readonly bytes: Uint8Array }[];
}

/** Writes an index without a graph, file by file as the contract describes it. */
export async function writeSmallIndex({ root, encoderDir, images }: SmallIndexOptions): Promise<void> {
  const encoder = await loadEncoder(encoderDir, { threads: 1 });
  const { name, version, sha256, input, output } = encoder.manifest;
  const decoder = createDecoder({ geometry: input.geometry });
  const pixels = await Promise.all(images.map(({ bytes }) => decoder.decode(bytes)));
  const { values } = await encoder.embed(Buffer.concat(pixels), images.length);
  await encoder.close();
  const examples = images.map(({ label }, i) => ({
    id: `${label}/${i}.png`,
    label,
    source: `${label}/${i}.png`,
  }));
  const contents = {
    'examples.jsonl': Buffer.from(examples.map((example) => `${JSON.stringify(example)}\n`).join('')),
    'embeddings.f32': Buffer.from(values.buffer, values.byteOffset, values.byteLength),
    'rejects.jsonl': Buffer.alloc(0),
  };
  const labels = [...new Set(images.map(({ label }) => label))].map((label) => ({
    label,
    examples: images.filter((image) => image.label === label).length,
  }));
  const files = Object.fromEntries(
    Object.entries(contents).map(([file, bytes]) => [
      file,
      { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length },
    ]),
  );
  const manifest = {
    schemaVersion: 1,
    encoder: { name, version, sha256 },
    dataset: 'drawn by a test',
    dimension: output.dimension,
    space: 'ip',
    m: 16,
    efConstruction: 200,
    ef: 64,
    seed: 1,
    examples: images.length,
    labels,
    createdAt: '2026-01-02T03:04:05.678Z',
    recall: null,
    files,
  };
  const dir = join(root, 'v1');
  await mkdir(dir, { recursive: true });
  for (const [file, bytes] of Object.entries(contents)) await writeFile(join(dir, file), bytes);
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest));
  await writeFile(join(root, 'current'), 'v1\n');
}
