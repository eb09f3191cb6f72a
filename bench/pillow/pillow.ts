/*
 * Photos decoded here and by Pillow in Python, and JPEGs beside their lossless copies:
 *   npx tsx bench/pillow/pillow.ts [CLOTHING_FOLDER] [A 224 PX ENCODER_FOLDER]
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asEmbeddings } from '../../src/domain/embeddings.js';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { loadEncoder } from '../../src/encoder/load.js';
import { answersOf } from '../../src/evaluate/measure-accuracy.js';
import { openDataset } from '../../src/image/dataset/open-dataset.js';
import { createDecoder, type Decoder } from '../../src/image/decode.js';
import { resizeTo, type Geometry } from '../../src/image/geometry.js';
import { sharp } from '../../src/image/sharp.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { embedAll } from '../embed-all.js';
import { preparePython } from '../peer/peer-server.js';

const [, , clothing = '../shared/data/clothing', photoEncoder] = process.argv;
const shipped = fileURLToPath(new URL('../../models/cifar10-compact', import.meta.url));
const [k, temperature] = [20, 0.07];

async function photosOf(folder: string): Promise<{ bytes: Uint8Array; path: string; label: string }[]> {
  const photos: { bytes: Uint8Array; path: string; label: string }[] = [];
  const dataset = await openDataset(folder, { split: 'test' });
  for await (const image of dataset.images()) {
    const content = await image.read();
    if (content instanceof Uint8Array || content.kind !== 'file') continue;
    photos.push({ bytes: content.bytes, path: join(folder, image.source), label: image.label });
  }
  return photos;
}

const cosine = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);

interface Compared {
  readonly name: string;
  readonly geometry: Geometry;
  readonly encoderDir: string;
  /** Where its pixels lie among those of a photo, as pipeline.py writes them. */
  readonly at: number;
}

const crop = { width: 224, height: 224 };
const edge: Geometry = { resize: { shortestEdge: 256 }, crop, kernel: 'cubic' };
const exact = resizeTo({ width: 32, height: 32, fit: 'fill', kernel: 'cubic' });
const [edgeBytes, exactBytes] = [224 * 224 * 3, 32 * 32 * 3];

async function comparePillow(): Promise<void> {
  const found = await preparePython();
  if ('missing' in found) return console.log(`Pillow is left out: ${found.missing}`);
  const photos = (await photosOf(join(clothing, 'validation'))).slice(0, 100);
  const base = await mkdtemp(join(tmpdir(), 'nearvote-'));
  const script = fileURLToPath(new URL('pipeline.py', import.meta.url));
  const out = join(base, 'pixels');
  const done = spawnSync(found.python, [script, out, ...photos.map(({ path }) => path)], {
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(done.stderr);
  const pixels = await readFile(out);
  await rm(base, { recursive: true });
  const rows: string[][] = [];
  const all: Compared[] = [
    { name: 'exact resize to 32 x 32', geometry: exact, encoderDir: shipped, at: edgeBytes },
  ];
  if (photoEncoder !== undefined) {
    all.push({ name: 'shorter edge 256, crop 224', geometry: edge, encoderDir: photoEncoder, at: 0 });
  }
  for (const { name, geometry, encoderDir, at } of all) {
    const encoder = await loadEncoder(encoderDir, { threads: 2 });
    const decoder = createDecoder({ geometry });
    const cosines: number[] = [];
    let different = 0;
    for (const [i, { bytes }] of photos.entries()) {
      const ours = await decoder.decode(bytes);
      const theirs = pixels.subarray(i * (edgeBytes + exactBytes) + at).subarray(0, ours.length);
      different += ours.filter((value, place) => value !== theirs[place]).length;
      const [a, b] = [await encoder.embed(ours, 1), await encoder.embed(new Uint8Array(theirs), 1)];
      cosines.push(cosine(a.values, b.values));
    }
    await encoder.close();
    const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    rows.push([
      name,
      encoder.manifest.name,
      mean.toFixed(6),
      Math.min(...cosines).toFixed(6),
      String(different),
    ]);
  }
  console.log(
    markdownTable(
      [`${photos.length} photos, beside Pillow`, 'encoder', 'mean cosine', 'worst', 'samples that differ'],
      rows,
    ),
  );
}

/** Labels of JPEGs and of their lossless copies, by the nearest training photos. */
async function compareCopies(encoderDir: string): Promise<string[]> {
  const known = await embedAll(encoderDir, join(clothing, 'train'));
  const examples = known.labels.map((label, row) => ({ id: String(row), label, source: '' }));
  const searcher = await createExactSearcher({ embeddings: known.embeddings, threads: 2 });
  const encoder = await loadEncoder(encoderDir, { threads: 2 });
  const decoder = createDecoder({ geometry: encoder.manifest.input.geometry });
  const photos = await photosOf(join(clothing, 'validation'));
  const labelsOf = async (bytesOf: (bytes: Uint8Array) => Promise<Uint8Array>): Promise<string[]> => {
    const { dimension } = encoder.manifest.output;
    const values = new Float32Array(photos.length * dimension);
    for (const [i, { bytes }] of photos.entries()) {
      const pixels = await decoder.decode(await bytesOf(bytes));
      values.set((await encoder.embed(pixels, 1)).values, i * dimension);
    }
    const found = await searcher.search(asEmbeddings(values, dimension), k);
    return answersOf({ found, examples }, k, { rule: 'softmax', temperature }).map(({ label }) => label);
  };
  const jpegs = await labelsOf((bytes) => Promise.resolve(bytes));
  const copies = await labelsOf((bytes) => sharp(bytes).autoOrient().png().toBuffer());
  await searcher.close();
  await encoder.close();
  const right = jpegs.filter((label, i) => label === photos[i]?.label).length;
  const differ = jpegs.filter((label, i) => label !== copies[i]).length;
  return [
    encoder.manifest.name,
    `${differ} of ${photos.length} (${((100 * differ) / photos.length).toFixed(1)} %)`,
    `${((100 * right) / photos.length).toFixed(2)} %`,
  ];
}

async function msOf(decoder: Decoder, bytes: Uint8Array): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const started = performance.now();
    await decoder.decode(bytes);
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[4] ?? NaN;
}

/** What a decode takes, alone. */
async function timeDecodes(): Promise<void> {
  const [photo] = await photosOf(join(clothing, 'validation'));
  if (photo === undefined) return;
  const sizes = [
    { width: 299, height: 224 },
    { width: 1600, height: 1200 },
    { width: 4000, height: 3000 },
  ];
  const rows: string[][] = [];
  for (const size of sizes) {
    const jpeg = await sharp(photo.bytes)
      .resize({ ...size, fit: 'fill' })
      .jpeg({ quality: 90 })
      .toBuffer();
    const times = await Promise.all([edge, exact].map((geometry) => msOf(createDecoder({ geometry }), jpeg)));
    rows.push([`JPEG, ${size.width} x ${size.height}`, ...times.map((ms) => ms.toFixed(1))]);
  }
  console.log(markdownTable(['ms a decode', 'shorter edge 256, crop 224', 'exact resize to 32 x 32'], rows));
}

await comparePillow();
const rows = [await compareCopies(shipped)];
if (photoEncoder !== undefined) rows.push(await compareCopies(photoEncoder));
console.log(markdownTable([`clothing, k = ${k}`, 'labels of lossless copies that differ', 'accuracy'], rows));
await timeDecodes();
