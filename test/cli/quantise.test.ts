import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyFolder, writeManifest } from '../encoder/folder.js';
import { side, wholeNetwork } from '../encoder/quantise/networks.js';
import { nearvote, nearvoteIn } from './in-process.js';
import { drawFolders } from './nearvote.js';

async function prepared(): Promise<{ dir: string; encoder: string; data: string }> {
  const dir = await emptyFolder();
  const encoder = join(dir, 'whole');
  await mkdir(encoder);
  await writeFile(join(encoder, 'encoder.onnx'), wholeNetwork());
  await writeManifest(encoder, ['encoder.onnx'], {
    name: 'whole',
    input: { name: 'pixels', width: side, height: side, fit: 'fill', kernel: 'cubic' },
    output: { name: 'embeddings', dimension: 6 },
  });
  const data = join(dir, 'pictures');
  await drawFolders(data, { count: 10, firstSeed: 1 });
  return { dir, encoder, data };
}

describe('nearvote quantise', () => {
  it('writes an int8 encoder beside the float one, and says how near it is, layer by layer', async () => {
    const { dir, encoder, data } = await prepared();
    const args = ['--data', data, '--method', 'min-max'];
    const { code, stdout, stderr } = await nearvoteIn(dir, 'quantise', 'whole', ...args);
    expect(stderr).not.toContain('nearvote:');
    expect(code).toBe(0);
    expect(stdout).toMatch(/whole-int8: whole 1\.0\.0 in int8/);
    expect(stdout).toMatch(/min-max +│ 0\.9\d+/);
    expect(stdout).toContain('Warning: 20 images told the ranges of values; 512 are the fewest to rely on');
    expect(stdout).toContain('Next: npx nearvote build --data DIR --encoder whole-int8 --out index/NAME');
    const manifest = JSON.parse(await readFile(join(dir, 'whole-int8', 'encoder.json'), 'utf8')) as object;
    expect(manifest).toMatchObject({ name: 'whole-int8', source: { parent: { name: 'whole' } } });

    const shown = await nearvote('encoder', 'show', join(dir, 'whole-int8'));
    expect(shown.stdout).toMatch(/quantised from +whole 1\.0\.0/);
    expect(shown.stdout).toMatch(/proof +3 images, cosine at least 0\.999/);

    const again = await nearvote('quantise', encoder, '--data', data);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toContain('--force replaces it');
  });

  it('prints what it found as JSON', async () => {
    const { dir, encoder, data } = await prepared();
    const out = join(dir, 'small');
    const args = ['--data', data, '--method', 'min-max', '--float-share', '0', '--out', out, '--json'];
    const { code, stdout } = await nearvote('quantise', encoder, ...args);
    expect(code).toBe(0);
    const found = JSON.parse(stdout) as {
      layers: unknown[];
      images: object;
      bytes: { float: number; int8: number };
    };
    expect(found.layers).toHaveLength(8);
    expect(found.images).toEqual({ calibration: 20, heldOut: 10 });
  });

  it('refuses a share above 1 with the reason, and 2', async () => {
    const ran = await nearvote('quantise', 'models/none', '--data', 'none', '--float-share', '2');
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('Expected a number from 0 to 1');
  });
});
