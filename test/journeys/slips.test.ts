import { mkdir, rename } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import { writeDrawnEncoder } from '../cli/drawn-encoder.js';
import { colours, drawFolders, drawSpeckled } from '../cli/nearvote.js';
import { beginJourney } from './journey.js';

const weights = [
  [1, 0],
  [-1, 0],
  [0, 1],
] as const;
const linesOf = (text: string): string[] => text.trim().split('\n');

describe('what people get wrong at first', () => {
  it('in the options gets one line that says so, and -k means --k', async () => {
    const { path, nearvote } = await beginJourney();
    const wrong = await nearvote('build', '--data', 'photos', '--encoder', 'e', '--out', 'o', '--m', 'many');
    expect(wrong.code).toBe(2);
    expect(linesOf(wrong.stderr)).toHaveLength(1);
    expect(wrong.stderr).toContain("'--m <n>' argument 'many' is invalid");
    expect(wrong.stderr).toContain('npx nearvote build --help');
    const unknown = await nearvote('classify', 'a.jpg', '--neighbors', '3');
    expect(linesOf(unknown.stderr)).toHaveLength(1);
    expect(unknown.stderr).toContain('--neighbours');
    await drawSpeckled(colours.red, 1).jpeg().toFile(path('red.jpg'));
    const { stdout } = await nearvote('classify', 'red.jpg', '-k', '3', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ decision: { neighbours: [{}, {}, {}] } });
  });

  it('in naming an encoder, or in the options it needs, is told all at once what there is and what is missing', async () => {
    const { path, nearvote } = await beginJourney();
    await writeDrawnEncoder({ dir: path('models/drawn'), name: 'drawn', weights });
    const build = (encoder: string) =>
      nearvote('build', '--data', '.', '--encoder', encoder, '--out', '../never');
    const mistyped = await build('models/drawm');
    expect(mistyped.stderr).toMatch(
      /There is .*models\/cifar10-compact, .*models\/drawn \[encoder_missing\]/,
    );
    const within = await build('models/drawn/encoder.onnx');
    expect(within.stderr).toContain('name its folder, ');
    await rename(path('models/drawn/encoder.onnx'), path('bare.onnx'));
    const bare = await build('bare.onnx');
    expect(bare.stderr).toMatch(/is a file; npx nearvote encoder add \S*bare\.onnx/);

    const incomplete = await nearvote('encoder', 'add', 'bare.onnx', '--size', '224');
    expect(incomplete.code).toBe(2);
    expect(incomplete.stderr).toContain('missing --mean <r,g,b>, --std <r,g,b>, --layout <layout>;');
    const help = await nearvote('encoder', 'add', '--help');
    expect(help.stdout).toContain('0.485,0.456,0.406 and 0.229,0.224,0.225');
    expect(help.stdout).toContain('preprocessor_config.json');
    expect(help.stdout).toContain('needed: image size in pixels');
  });

  it('a folder to classify is its images, and a file that is not there is told before anything is loaded', async () => {
    const { path, nearvote } = await beginJourney();
    await drawFolders(path('new'), { count: 2, firstSeed: 0 });
    const { stdout } = await nearvote('classify', 'new', '--json');
    const files = linesOf(stdout).map((line) => (JSON.parse(line) as { file: string }).file);
    expect(files).toEqual(
      ['blue', 'green', 'red'].flatMap((label) => [0, 1].map((i) => `new/${label}/${i}.JPG`)),
    );
    // In a terminal of the usual width, whatever the paths.
    const deep = path('a/folder/of/which/the/name/is/long', 'new');
    await mkdir(path('a/folder/of/which/the/name/is/long'), { recursive: true });
    await rename(path('new'), deep);
    const table = await nearvote('classify', deep);
    expect(Math.max(...linesOf(table.stdout).map((line) => Array.from(line).length))).toBeLessThanOrEqual(80);
    const missing = await nearvote('classify', 'no-such.jpg');
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(linesOf(missing.stderr)).toEqual([
      'nearvote: Expected an image file or a folder but there is no no-such.jpg [image_missing]',
    ]);
  });

  it('folders of train and validation are asked about, and images beside the classes are counted', async () => {
    const { path, nearvote } = await beginJourney();
    await drawFolders(path('photos/train'), { count: 6, firstSeed: 0 });
    await drawFolders(path('photos/validation'), { count: 2, firstSeed: 50 });
    await writeDrawnEncoder({ dir: path('models/drawn'), name: 'drawn', weights });
    const build = (data: string, out: string) =>
      nearvote('build', '--data', data, '--encoder', 'models/drawn', '--out', out);
    const above = await build('photos', 'index/colours');
    expect(above).toMatchObject({ code: 1 });
    expect(above.stderr).toContain('received train, validation');
    expect(above.stderr).toContain('--data photos/train');

    const within = await build('photos/train', 'photos/train/index');
    expect(within).toMatchObject({ code: 2 });
    expect(within.stderr).toContain('Expected --out to lie outside the images');

    await rename(path('photos/train/red/0.JPG'), path('photos/train/stray.JPG'));
    const built = await build('photos/train', 'index/colours');
    expect(built).toMatchObject({ code: 0 });
    expect(built.stdout).toContain('17 examples of 3 labels');
    expect(built.stdout).toContain('have no label and are left out, 1: stray.JPG');
    // A class may well be called train.
    await mkdir(path('vehicles'));
    await rename(path('photos/train/red'), path('vehicles/train'));
    await rename(path('photos/train/blue'), path('vehicles/ship'));
    expect(await build('vehicles', 'index/vehicles')).toMatchObject({ code: 0 });
  });
});
