/*
 * JPEGs beside their lossless copies, and what a decode takes: `npx tsx bench/lossless.ts [CLOTHING_FOLDER] [A 224 PX
 * ENCODER_FOLDER]`. Photos beside Pillow's are in parity/parity.ts.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asEmbeddings } from '../src/domain/embeddings.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { loadEncoder } from '../src/encoder/load.js';
import { answersOf } from '../src/evaluate/measure-accuracy.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { createDecoder, type Decoder } from '../src/image/decode.js';
import { resizeTo, type Geometry } from '../src/image/geometry.js';
import { sharp } from '../src/image/sharp.js';
import { createExactSearcher } from '../src/neighbours/exact.js';
import { embedAll } from './embed-all.js';

const [, , clothing = '../shared/data/clothing', photoEncoder] = process.argv;
const compact = fileURLToPath(new URL('../models/cifar10-compact', import.meta.url));
const [k, temperature] = [20, 0.07];

async function photosOf(folder: string): Promise<{ bytes: Uint8Array; label: string }[]> {
  const photos: { bytes: Uint8Array; label: string }[] = [];
  const dataset = await openDataset(folder, { split: 'test' });
  for await (const image of dataset.images()) {
    const content = await image.read();
    if (content instanceof Uint8Array || content.kind !== 'file') continue;
    photos.push({ bytes: content.bytes, label: image.label });
  }
  return photos;
}

const crop = { width: 224, height: 224 };
const edge: Geometry = { resize: { shortestEdge: 256 }, crop, kernel: 'cubic' };
const exact = resizeTo({ width: 32, height: 32, fit: 'fill', kernel: 'cubic' });

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

const rows = [await compareCopies(compact)];
if (photoEncoder !== undefined) rows.push(await compareCopies(photoEncoder));
console.log(markdownTable([`clothing, k = ${k}`, 'labels of lossless copies that differ', 'accuracy'], rows));
await timeDecodes();
