/*
 * Photos preprocessed and embedded here and in Python, by the configurations of encoders that people use:
 *   npx tsx bench/parity/parity.ts [--shared DIR] [--vit FILE --vit-output NAME] [--python PYTHON] [--photos N]
 * Without --python, Pillow and ONNX Runtime come from bench/peer/requirements.txt, and what image processors do is written
 * out; a PYTHON with `transformers` uses its own. --vit is an ONNX vision transformer of 224 x 224 pixels that gives
 * tokens, such as DINOv2's. Build first (`npm run build`): large photos are resampled on a thread.
 */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Sharp } from 'sharp';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { addEncoder } from '../../src/encoder/add/add-encoder.js';
import { loadEncoder } from '../../src/encoder/load.js';
import { openDataset } from '../../src/image/dataset/open-dataset.js';
import { limitImages } from '../../src/image/dataset/sample.js';
import { createDecoder } from '../../src/image/decode.js';
import { resizeTo, type Geometry } from '../../src/image/geometry.js';
import { sharp } from '../../src/image/sharp.js';
import { preparePython } from '../peer/peer-server.js';

const { values: flags } = parseArgs({
  options: {
    shared: { type: 'string', default: '../shared' },
    vit: { type: 'string' },
    'vit-output': { type: 'string', default: 'last_hidden_state' },
    python: { type: 'string' },
    photos: { type: 'string', default: '100' },
  },
});

interface Model {
  readonly model: string;
  readonly input: string;
  readonly output: string;
  readonly token: 'cls' | undefined;
}

type Three = readonly [number, number, number];

interface Configuration extends Model {
  readonly name: string;
  /** A class of transformers, or torchvision's transforms. */
  readonly processor: string;
  /** Of the shorter edge; none for an exact resize. */
  readonly edge: number | undefined;
  readonly kernel: 'linear' | 'cubic';
  readonly mean: Three;
  readonly std: Three;
}

const side = 224;
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const halves = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const lite0: Model = {
  model: join(flags.shared, 'models/efficientnet-lite0/encoder-float.onnx'),
  ...{ input: 'image', output: 'features', token: undefined },
};

function configurations(): Configuration[] {
  const cnn: Configuration = {
    ...{ name: 'timm-lite0', processor: 'torchvision', edge: 256, kernel: 'cubic', ...lite0 },
    ...{ mean: [0.498, 0.498, 0.498], std: [0.502, 0.502, 0.502] },
  };
  if (flags.vit === undefined) return [cnn];
  const vit: Model = { model: flags.vit, input: 'input_image', output: flags['vit-output'], token: 'cls' };
  const clip = {
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  } as const;
  return [
    cnn,
    { name: 'dinov2', processor: 'BitImageProcessor', edge: 256, kernel: 'cubic', ...vit, ...imageNet },
    { name: 'dinov2-timm', processor: 'torchvision', edge: 256, kernel: 'cubic', ...vit, ...imageNet },
    { name: 'clip', processor: 'CLIPImageProcessor', edge: 224, kernel: 'cubic', ...vit, ...clip },
    {
      name: 'siglip',
      processor: 'SiglipImageProcessor',
      edge: undefined,
      kernel: 'cubic',
      ...vit,
      ...halves,
    },
    {
      name: 'siglip2',
      processor: 'SiglipImageProcessor',
      edge: undefined,
      kernel: 'linear',
      ...vit,
      ...halves,
    },
  ];
}

function geometryOf({ edge, kernel, processor }: Configuration): Geometry {
  const size = { width: side, height: side };
  if (edge === undefined) return resizeTo({ ...size, fit: 'fill', kernel });
  const crop = processor === 'torchvision' ? size : ({ ...size, halves: 'down' } as const);
  return { resize: { shortestEdge: edge }, crop, kernel };
}

interface Photo {
  readonly kind: string;
  readonly path: string;
}

/** The same photos each time, and some of them again as other kinds of files. */
async function photosIn(dir: string): Promise<Photo[]> {
  const source = join(flags.shared, 'data/clothing/validation');
  const dataset = await limitImages(await openDataset(source, { split: 'test' }), {
    maxImages: Number(flags.photos),
    seed: 0,
  });
  const photos: Photo[] = [];
  for await (const image of dataset.images())
    photos.push({ kind: 'photo', path: join(source, image.source) });
  const some = photos.slice(0, 8);
  const kinds: [kind: string, extension: string, make: (photo: Buffer, i: number) => Sharp][] = [
    // All eight orientations of EXIF.
    ['turned by EXIF', 'jpg', (photo, i) => sharp(photo).withMetadata({ orientation: i + 1 })],
    ['greyscale', 'jpg', (photo) => sharp(photo).toColourspace('b-w')],
    ['CMYK', 'jpg', (photo) => sharp(photo).toColourspace('cmyk')],
    ['opaque alpha', 'png', (photo) => sharp(photo).ensureAlpha()],
    ['half alpha', 'png', (photo) => sharp(photo).ensureAlpha(0.5)],
    ['palette', 'png', (photo) => sharp(photo).png({ palette: true })],
  ];
  for (const [kind, extension, make] of kinds) {
    for (const [i, { path }] of some.entries()) {
      const to = join(dir, `${kind.replaceAll(' ', '-')}-${i}.${extension}`);
      await make(await readFile(path), i).toFile(to);
      photos.push({ kind, path: to });
    }
  }
  return photos;
}

interface Difference {
  readonly cosine: number;
  /** Samples of the pixels that differ, and by how much at most. */
  readonly samples: number;
  readonly most: number;
}

async function compare(asked: Configuration, photos: readonly Photo[], dir: string): Promise<Difference[]> {
  const folder = join(dir, asked.name);
  await mkdir(join(dir, `${asked.name}-model`));
  const path = join(dir, `${asked.name}-model`, 'model.onnx');
  await cp(asked.model, path);
  const { mean, std, output, token } = asked;
  const manifest = await addEncoder({
    ...{
      path,
      dir: folder,
      force: true,
      name: asked.name,
      version: '1.0.0',
      licence: 'unknown',
      trainedOn: [],
    },
    ...{ geometry: geometryOf(asked), output, token },
    preprocessing: { layout: 'nchw', channels: 'rgb', scale: 255, mean, std },
  });
  const encoder = await loadEncoder(folder, { threads: 1 });
  const decoder = createDecoder({ geometry: manifest.input.geometry });
  const theirPixels = await readFile(join(dir, `${asked.name}.pixels`));
  const { buffer } = new Uint8Array(await readFile(join(dir, `${asked.name}.embeddings`)));
  const theirs = new Float32Array(buffer);
  const [bytes, { dimension }] = [side * side * 3, manifest.output];
  const differences: Difference[] = [];
  for (const [row, photo] of photos.entries()) {
    const pixels = await decoder.decode(await readFile(photo.path));
    const { values } = await encoder.embed(pixels, 1);
    const cosine = values.reduce((sum, value, i) => sum + value * (theirs[row * dimension + i] ?? NaN), 0);
    let [samples, most] = [0, 0];
    for (const [i, value] of pixels.entries()) {
      const difference = Math.abs(value - (theirPixels[row * bytes + i] ?? NaN));
      if (difference > 0) samples++;
      most = Math.max(most, difference);
    }
    differences.push({ cosine, samples, most });
  }
  await encoder.close();
  return differences;
}

const given = flags.python === undefined ? await preparePython() : { python: flags.python };
if ('missing' in given) throw new Error(`Expected Python with Pillow and ONNX Runtime: ${given.missing}`);
const dir = await mkdtemp(join(tmpdir(), 'nearvote-parity-'));
try {
  const photos = await photosIn(dir);
  const asked = configurations();
  const ask = {
    photos: photos.map(({ path }) => path),
    encoders: asked.map((one) => ({ ...one, side })),
  };
  await writeFile(
    join(dir, 'ask.json'),
    JSON.stringify(ask, (_key, value: unknown) => value ?? null),
  );
  const script = fileURLToPath(new URL('parity.py', import.meta.url));
  const done = spawnSync(given.python, [script, join(dir, 'ask.json'), dir], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(done.stderr);
  console.log(done.stdout);
  const rows: string[][] = [];
  for (const one of asked) {
    const differences = await compare(one, photos, dir);
    for (const kind of new Set(photos.map((photo) => photo.kind))) {
      const of = differences.filter((_, i) => photos[i]?.kind === kind);
      rows.push([
        one.name,
        `${of.length} ${kind}`,
        (of.reduce((sum, { cosine }) => sum + cosine, 0) / of.length).toFixed(6),
        Math.min(...of.map(({ cosine }) => cosine)).toFixed(6),
        String(of.reduce((sum, { samples }) => sum + samples, 0)),
        String(Math.max(...of.map(({ most }) => most))),
      ]);
    }
  }
  const columns = ['configuration', 'photos', 'mean cosine', 'worst', 'samples that differ', 'by at most'];
  console.log(markdownTable(columns, rows));
} finally {
  await rm(dir, { recursive: true, force: true });
}
