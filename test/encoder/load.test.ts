import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { packFingerprints } from '../../src/domain/fingerprints.js';
import { loadEncoder, readEncoderManifest, readTrainedImages } from '../../src/encoder/load.js';
import { readEncoderFile, sha256Of } from '../../src/encoder/manifest.js';
import { encodeModel, model, node, tensorInfo } from '../../src/onnx/model.js';
import { elementTypes, initializer } from '../../src/onnx/tensor.js';
import { emptyFolder, randomPixels, writeManifest } from './folder.js';
import { onnxBytes } from './parity-network.js';

async function parityFolder(changes: object = {}): Promise<string> {
  const dir = await emptyFolder();
  await writeFile(join(dir, 'encoder.onnx'), onnxBytes());
  await writeManifest(dir, ['encoder.onnx'], changes);
  return dir;
}

const tinySize = { name: 'pixels', width: 8, height: 8 };
const tinyInput = { ...tinySize, fit: 'fill', kernel: 'cubic' };
const tinyGeometry = { resize: { width: 8, height: 8 }, fit: 'fill', kernel: 'cubic' };

describe("an encoder's manifest", () => {
  it('says that there is no folder, or no manifest in it', async () => {
    const dir = await emptyFolder();
    const missing = { code: 'encoder_missing', message: expect.stringContaining('encoder.json') as string };
    await expect(readEncoderManifest(join(dir, 'nowhere'))).rejects.toMatchObject(missing);
    await expect(readEncoderManifest(dir)).rejects.toMatchObject(missing);
    await writeFile(join(dir, 'file'), '');
    await expect(readEncoderManifest(join(dir, 'file'))).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringContaining('file is a file; npx nearvote encoder add') as string,
    });
    await mkdir(join(dir, 'encoder.json'));
    await expect(readEncoderManifest(dir)).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringContaining('EISDIR') as string,
    });
  });

  it('says that it is not JSON', async () => {
    const dir = await emptyFolder();
    await writeFile(join(dir, 'encoder.json'), '{"name": ');
    await expect(readEncoderManifest(dir)).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(/Expected JSON in .*encoder\.json/) as string,
    });
  });

  it.each([
    [{ input: { ...tinyInput, width: '8' } }, 'input.width'],
    [{ input: { ...tinyInput, fit: 'stretch' } }, 'input.fit'],
    [{ input: { ...tinyInput, fit: undefined } }, 'input.geometry'],
    [{ input: { ...tinyInput, geometry: tinyGeometry } }, 'input.geometry'],
    [
      { input: { ...tinySize, geometry: { ...tinyGeometry, crop: { width: 7, height: 8 } } } },
      'input.geometry',
    ],
    [{ input: { ...tinySize, geometry: { ...tinyGeometry, kernel: 'box' } } }, 'input.geometry.kernel'],
    [{ output: { name: 'embeddings', dimension: 0 } }, 'output.dimension'],
    [{ sha256: 'ABC' }, 'sha256'],
    [{ name: '../elsewhere' }, 'name'],
    [{ licence: undefined }, 'licence'],
    [{ metrics: { 'knn@1': 'good' } }, 'metrics'],
    [{ colour: 'blue' }, 'colour'],
  ])('with %j names its file and the field %s', async (changes, field) => {
    const dir = await parityFolder(changes);
    await expect(readEncoderManifest(dir)).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(new RegExp(`encoder\\.json: .*${field}`)) as string,
    });
  });
});

describe('the images that an encoder was trained on', () => {
  const packed = packFingerprints([1, 2, 3].map((value) => Buffer.alloc(32, value)));
  const listing = { file: 'images.bin', sha256: sha256Of([packed]), count: 3, datasets: ['drawn'] };

  async function folderWith(content: Uint8Array | undefined, changes: object = {}): Promise<string> {
    const dir = await parityFolder({ trainedImages: { ...listing, ...changes } });
    if (content !== undefined) await writeFile(join(dir, 'images.bin'), content);
    return dir;
  }
  const read = async (dir: string): Promise<Uint8Array | undefined> =>
    readTrainedImages(dir, await readEncoderManifest(dir));

  it('are read back as they were packed', async () => {
    expect(Buffer.from((await read(await folderWith(packed))) ?? [])).toEqual(packed);
  });

  it('are none where the manifest names none, or where the file was not copied with it', async () => {
    expect(await read(await parityFolder())).toBeUndefined();
    expect(await read(await folderWith(undefined))).toBeUndefined();
  });

  const unsorted = Buffer.concat([packed.subarray(6), packed.subarray(0, 6)]);
  it.each<[string, Uint8Array, object]>([
    ['that was cut short', packed.subarray(0, 17), {}],
    ['that grew', Buffer.concat([packed, packed]), {}],
    ['of another content', Buffer.alloc(18, 9), {}],
    ['in another order', unsorted, { sha256: sha256Of([unsorted]) }],
  ])('are refused in a file %s', async (_, content, changes) => {
    await expect(read(await folderWith(content, changes))).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(/images\.bin to be the fingerprints of 3 images/) as string,
    });
  });

  it('are refused in a file outside the folder, and in greater number than any training has', async () => {
    const dir = await folderWith(packed);
    await writeFile(join(dir, '..', 'stray.bin'), packed);
    onTestFinished(() => rm(join(dir, '..', 'stray.bin')));
    await expect(
      readTrainedImages(dir, { trainedImages: { ...listing, file: '../stray.bin' } }),
    ).rejects.toMatchObject({ code: 'encoder_invalid' });
    await expect(read(await folderWith(packed, { count: 2 ** 24 + 1 }))).rejects.toThrow(
      /trainedImages\.count/,
    );
  });
});

describe('the geometry of a manifest', () => {
  it('is what fit and kernel say where there is no other', async () => {
    const { input } = await readEncoderManifest(await parityFolder({ input: tinyInput }));
    expect(input).toEqual({ ...tinySize, geometry: tinyGeometry });
  });

  it('is read whole, and survives being written and read again', async () => {
    const geometry = { resize: { shortestEdge: 9 }, crop: { width: 8, height: 8 }, kernel: 'linear' };
    const first = await readEncoderManifest(await parityFolder({ input: { ...tinySize, geometry } }));
    expect(first.input.geometry).toEqual(geometry);
    expect(await readEncoderManifest(await parityFolder({ input: first.input }))).toEqual(first);
  });
});

describe('an ONNX encoder', () => {
  it('gives the rows of a batch as it gives them one by one', async () => {
    const encoder = await loadEncoder(await parityFolder(), { threads: 2 });
    const pixels = randomPixels(5, 4 * 192);
    const together = await encoder.embed(pixels, 4);
    for (let row = 0; row < 4; row++) {
      const alone = await encoder.embed(pixels.subarray(row * 192, (row + 1) * 192), 1);
      together.values.subarray(row * 5, (row + 1) * 5).forEach((value, i) => {
        expect(alone.values[i]).toBeCloseTo(value, 5);
      });
    }
    await encoder.close();
  });

  it('answers batches that overlap, each with its own rows', async () => {
    const encoder = await loadEncoder(await parityFolder(), { threads: 1 });
    const batches = [1, 2, 3, 4].map((seed) => randomPixels(seed, seed * 192));
    const overlapping = await Promise.all(
      batches.map((pixels) => encoder.embed(pixels, pixels.length / 192)),
    );
    for (const [i, pixels] of batches.entries()) {
      expect(overlapping[i]?.values).toEqual((await encoder.embed(pixels, pixels.length / 192)).values);
    }
    await encoder.close();
  });

  it('refuses pixels that do not fill its batch, and an empty one', async () => {
    const encoder = await loadEncoder(await parityFolder(), { threads: 1 });
    await expect(encoder.embed(new Uint8Array(191), 1)).rejects.toMatchObject({ code: 'internal' });
    await expect(encoder.embed(new Uint8Array(0), 0)).rejects.toMatchObject({ code: 'internal' });
    await encoder.close();
  });

  it('may be closed twice and then embeds no more', async () => {
    const encoder = await loadEncoder(await parityFolder(), { threads: 1 });
    await encoder.close();
    await encoder.close();
    await expect(encoder.embed(new Uint8Array(192), 1)).rejects.toMatchObject({ code: 'shutting_down' });
  });

  it('that is missing, cut short or another file is refused', async () => {
    const dir = await parityFolder();
    await truncate(join(dir, 'encoder.onnx'), 500);
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('sha256') as string,
    });
    await rm(join(dir, 'encoder.onnx'));
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({ code: 'encoder_missing' });
  });

  it.each([
    ['text', new TextEncoder().encode('not a model')],
    ['nothing', new Uint8Array(0)],
    ['half a model', onnxBytes().subarray(0, 700)],
  ])('whose file holds %s is refused, whatever its hash', async (_what, bytes) => {
    const dir = await emptyFolder();
    await writeFile(join(dir, 'encoder.onnx'), bytes);
    await writeManifest(dir, ['encoder.onnx']);
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(/Expected encoder.onnx of encoder tiny to be a model/) as string,
    });
  });

  it('whose manifest leads out of its folder is refused', async () => {
    const dir = await parityFolder();
    await mkdir(join(dir, 'inner'));
    await copyFile(join(dir, 'encoder.json'), join(dir, 'inner', 'encoder.json'));
    const json = JSON.parse(await readFile(join(dir, 'encoder.json'), 'utf8')) as object;
    for (const file of ['../encoder.onnx', join(dir, 'encoder.onnx'), 'a/../../encoder.onnx']) {
      await writeFile(join(dir, 'inner', 'encoder.json'), JSON.stringify({ ...json, file }));
      await expect(loadEncoder(join(dir, 'inner'), { threads: 1 })).rejects.toMatchObject({
        code: 'encoder_invalid',
        message: expect.stringContaining('Expected a file inside') as string,
      });
    }
  });

  it.each([
    [
      { input: { ...tinyInput, name: 'images' } },
      'images: uint8 [n,8,8,3] but received pixels: uint8 [n,8,8,3]',
    ],
    [{ input: { ...tinyInput, width: 16 } }, 'pixels: uint8 [n,8,16,3] but received pixels: uint8 [n,8,8,3]'],
    [{ output: { name: 'features', dimension: 5 } }, 'features: float32 [n,5] but received embeddings'],
    [{ output: { name: 'embeddings', dimension: 6 } }, '[n,6] but received embeddings: float32 [n,5]'],
  ])('that is not what its manifest says (%j) is refused', async (changes, message) => {
    await expect(loadEncoder(await parityFolder(changes), { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining(message) as string,
    });
  });

  it.each([
    ['takes floats', { elementType: 'float32', dims: ['n', 8, 8, 3] }, 'float32 [n,8,8,3]'],
    ['has a fixed batch', { elementType: 'uint8', dims: [1, 8, 8, 3] }, 'uint8 [1,8,8,3]'],
  ] as const)('that %s is refused', async (_what, input, message) => {
    await expect(loadEncoder(await modelFolder(input), { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining(message) as string,
    });
  });

  it('that fails as it runs says why, in the words of ONNX Runtime', async () => {
    const encoder = await loadEncoder(await shapedByPixelsFolder(), { threads: 1 });
    await expect(encoder.embed(new Uint8Array(192).fill(9), 1)).rejects.toMatchObject({
      code: 'worker_failed',
      message: expect.stringMatching(
        /encoder tiny to run but .*cannot be reshaped.*\{1,5\}.*\{9,9\}/,
      ) as string,
    });
    await encoder.close();
  });

  it('whose vectors are not of unit length is found out when it runs', async () => {
    const encoder = await loadEncoder(await modelFolder({ elementType: 'uint8', dims: ['n', 8, 8, 3] }), {
      threads: 1,
    });
    await expect(encoder.embed(new Uint8Array(192).fill(9), 1)).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('Expected embeddings of unit length but row 0') as string,
    });
    await encoder.close();
  });
});

type Input = { readonly elementType: 'uint8' | 'float32'; readonly dims: readonly (number | string)[] };

/** A model that returns the first five pixel values as they are. */
async function modelFolder(input: Input): Promise<string> {
  return folderOf(input, [
    node('Slice', { inputs: ['flat', 'start', 'end', 'axis'], outputs: ['embeddings'] }),
  ]);
}

/** A model that fails unless its first two pixel values are a shape that five values can have. */
async function shapedByPixelsFolder(): Promise<string> {
  return folderOf({ elementType: 'uint8', dims: ['n', 8, 8, 3] }, [
    node('Slice', { inputs: ['flat', 'start', 'end', 'axis'], outputs: ['five'] }),
    node('Slice', { inputs: ['five', 'start', 'two', 'axis'], outputs: ['first'] }),
    node('Cast', { inputs: ['first'], outputs: ['sizes'], attributes: { to: elementTypes.int64 } }),
    node('Reshape', { inputs: ['sizes', 'two'], outputs: ['shape'] }),
    node('Reshape', { inputs: ['five', 'shape'], outputs: ['embeddings'] }),
  ]);
}

async function folderOf(input: Input, nodes: ReturnType<typeof node>[]): Promise<string> {
  const dir = await emptyFolder();
  const int64 = (name: string, value: number) =>
    initializer({ name, elementType: 'int64', dims: [1], data: [value] });
  const proto = model({
    name: 'raw',
    inputs: [tensorInfo({ name: 'pixels', ...input })],
    outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', 5] })],
    initializers: [int64('start', 0), int64('two', 2), int64('end', 5), int64('axis', 1)],
    nodes: [
      node('Cast', { inputs: ['pixels'], outputs: ['x'], attributes: { to: elementTypes.float32 } }),
      node('Flatten', { inputs: ['x'], outputs: ['flat'] }),
      ...nodes,
    ],
  });
  await writeFile(join(dir, 'encoder.onnx'), encodeModel(proto));
  await writeManifest(dir, ['encoder.onnx']);
  return dir;
}

it('refuses a pipe and a device, which have no end', async () => {
  const dir = await emptyFolder();
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  await symlink('/dev/zero', join(dir, 'device'));
  for (const name of ['pipe', 'device']) {
    await expect(readEncoderFile(dir, name)).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringContaining('a pipe or a device') as string,
    });
  }
});

it('refuses a model file above 2 GiB, before it is read', async () => {
  const dir = await emptyFolder();
  await writeFile(join(dir, 'encoder.onnx'), '');
  // It has no blocks on the disk.
  await truncate(join(dir, 'encoder.onnx'), 2 ** 31);
  await expect(readEncoderFile(dir, 'encoder.onnx')).rejects.toMatchObject({
    code: 'encoder_unsupported',
    message: expect.stringContaining('2147483647 bytes (2 GiB)') as string,
  });
});
