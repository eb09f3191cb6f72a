import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  readCalibration,
  writeCalibration,
  type CalibrationFile,
} from '../../src/examples/calibration-file.js';
import { decisionSchema, type DecisionBody } from '../../src/server/schemas.js';
import { nearvote } from './in-process.js';
import { colours, drawFolders, drawSpeckled, root, type DrawFoldersOptions, type Ran } from './nearvote.js';
import { startServed, type Served } from './served.js';
import { writeSmallIndex } from './small-index.js';

let base = '';
let index = '';

const calibrate = (data: string, ...more: string[]): Promise<Ran> =>
  nearvote('calibrate', '--data', join(base, data), '--index', index, '--workers', '1', ...more);

async function stored(): Promise<CalibrationFile> {
  const calibration = await readCalibration(index);
  if (calibration === undefined) throw new Error('Expected a calibration');
  return calibration;
}

const draw = (colour: readonly number[], seed: number): Promise<Buffer> =>
  drawSpeckled(colour, seed).png().toBuffer();

/** Pictures of a folder have its name: their ids are those of no other. */
const drawFolder = (folder: string, drawn: Omit<DrawFoldersOptions, 'nameOf'>): Promise<void> =>
  drawFolders(join(base, folder), { ...drawn, nameOf: (i) => `${folder}-${i}.png` });

/** Black and white squares: like no colour. */
function drawBoard(): Promise<Buffer> {
  const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return ((pixel >> 2) + (pixel >> 7)) % 2 === 0 ? 0 : 255;
  });
  return sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
    .png()
    .toBuffer();
}

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-calibrate-'));
  index = join(base, 'index', 'colours');
  const images = [];
  for (const [label, colour] of Object.entries(colours)) {
    for (let i = 0; i < 10; i++) images.push({ label, bytes: await draw(colour, i) });
  }
  await writeSmallIndex({ root: index, encoderDir: join(root, 'models/cifar10-compact'), images });
  await drawFolder('held-out', { count: 20, firstSeed: 1_000 });
  await drawFolder('few', { count: 2, firstSeed: 1_000 });
  await drawFolder('stranger', { labels: { ...colours, yellow: [9, 9, 9] }, count: 10, firstSeed: 1_000 });
  await drawFolder('strangers', { labels: { yellow: [9, 9, 9] }, count: 30, firstSeed: 1_000 });
  await drawFolders(join(base, 'same-names'), { count: 10, firstSeed: 0, nameOf: (i) => `${i}.png` });
  await drawFolder('one', { labels: { red: colours.red }, count: 30, firstSeed: 1_000 });
  await drawFolder('later', { count: 8, firstSeed: 4_000 });
  // The very pictures of the index.
  await drawFolder('again', { count: 10, firstSeed: 0 });
  await mkdir(join(base, 'empty', 'red'), { recursive: true });
});
afterAll(() => rm(base, { recursive: true }));

describe('nearvote calibrate', () => {
  it.each([
    ['strangers', 'dataset_invalid', 'but received only yellow'],
    ['same-names', 'dataset_overlaps', '10 of 30 are in it already: 10 by label and source.'],
    ['one', 'dataset_invalid', 'but received "red" alone'],
    ['few', 'dataset_invalid', 'k, which is 20, but received 6'],
    ['empty', 'dataset_invalid', ''],
    ['again', 'dataset_overlaps', '30 of 30 are in it already: 0 by label and source, 30 as'],
    ['no-such', 'dataset_missing', ''],
  ])('refuses the folder %s: %s', async (folder, code, message) => {
    const { code: exit, stderr } = await calibrate(folder);
    expect(stderr).toContain(`[${code}]`);
    expect(stderr).toContain(message);
    expect(exit).toBe(1);
  });

  it('refuses a k that the index does not have, and what are no numbers', async () => {
    expect((await calibrate('held-out', '--k', '31')).stderr).toContain('[k_too_large]');
    for (const temperature of ['NaN', '0', '-1']) {
      const { code, stderr } = await calibrate('held-out', '--temperature', temperature);
      expect(code).toBe(2);
      expect(stderr).toContain('Expected a number above 0');
    }
    expect(await calibrate('held-out', '--epsilon', '1')).toMatchObject({ code: 2 });
  });

  it('embeds nothing of what the index has by label and source', async () => {
    const { stderr } = await calibrate('same-names');
    expect(stderr).not.toContain('embed:');
  });

  it('leaves out the images of a label that the index lacks, and says of how many', async () => {
    const { code, stdout } = await calibrate('stranger', '--k', '5');
    expect(stdout).toContain('Warning: the index has no example of yellow: 10 images of 1 label left out');
    expect(code).toBe(0);
    expect(await stored()).toMatchObject({ images: 30 });
    await rm(join(index, 'calibration.json'));
  });

  it('refuses a page that cannot be written before it fits anything', async () => {
    const { code, stderr } = await calibrate('held-out', '--report', join(base, 'no-such', 'page.html'));
    expect(code).toBe(1);
    expect(stderr).toContain('[output_unwritable]');
    expect(existsSync(join(index, 'calibration.json'))).toBe(false);
  });

  it('is done all the same with --force, and the file says on how much of the index', async () => {
    const { code, stdout } = await calibrate(
      ...(['again', '--force', '--k', '5', '--report', join(base, 'report.html')] as const),
    );
    expect(code).toBe(0);
    const page = await readFile(join(base, 'report.html'), 'utf8');
    for (const title of ['Figures', 'Reliability']) expect(page).toContain(title);
    expect(stdout).toContain('30 images are in the index: all of this is optimistic');
    expect(await stored()).toMatchObject({ overlap: 30, vote: { k: 5 } });
    await rm(join(index, 'calibration.json'));
  });

  it('is what a running server answers by after a reload, until the index is another', async () => {
    const red = await draw([210, 40, 30], 7_000);
    const served = await startServed({ index, models: join(root, 'models'), red });
    const classify = async (body: Buffer): Promise<DecisionBody> => {
      const headers = { 'content-type': 'image/png' };
      const answer = await fetch(`${served.url}/classify`, {
        method: 'POST',
        headers,
        body: new Uint8Array(body),
      });
      return decisionSchema.parse(await answer.json());
    };
    expect(await classify(red)).toMatchObject({ label: 'red', calibrated: false });
    expect(await served.metric('nearvote_calibrated{index="colours"}')).toBe(0);

    const { code, stdout } = await calibrate('held-out', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ calibration: { images: 60 } });
    // The vote that was served before.
    expect(await stored()).toMatchObject({
      ...{ index: { version: 'v1' }, images: 60 },
      vote: { rule: 'softmax', temperature: 0.07, k: 20 },
    });
    await reload(served);
    await expect
      .poll(() => served.metric('nearvote_calibrated{index="colours"}'), { timeout: 60_000 })
      .toBe(1);
    expect(await classify(red)).toMatchObject({ label: 'red', outcome: 'known', calibrated: true });
    const board = await classify(await drawBoard());
    expect(board).toMatchObject({ outcome: 'unknown', calibrated: true });
    expect(board.pValue).toBeLessThan(0.05);

    // As if the index had been built again since.
    await writeFile(join(index, 'current'), 'v0\n');
    await writeCalibration(index, {
      ...(await stored()),
      index: { name: 'colours', version: 'v0', digest: '0'.repeat(64) },
    });
    await writeFile(join(index, 'current'), 'v1\n');
    await reload(served);
    await expect
      .poll(() => served.metric('nearvote_calibrated{index="colours"}'), { timeout: 60_000 })
      .toBe(0);
    expect(await classify(red)).toMatchObject({ calibrated: false });
    // The log is written in blocks.
    await expect.poll(() => served.stderr()).toContain('for index version v1 but it is for v0');
  }, 120_000);

  it('does not apply to a k or vote that the operator chose, and classify says so', async () => {
    expect(await calibrate('held-out')).toMatchObject({ code: 0 });
    const file = join(base, 'held-out', 'red', 'held-out-0.png');
    const asked = (...more: string[]): Promise<Ran> =>
      nearvote('classify', file, '--index', index, '--workers', '1', '--json', ...more);
    const plain = await asked();
    expect(plain.stderr).toBe(`index ${index}, version v1\n`);
    expect(JSON.parse(plain.stdout)).toMatchObject({ decision: { calibrated: true, outcome: 'known' } });
    const own = await asked('--k', '3');
    expect(own.stderr).toContain('calibration.json is not used');
    expect(JSON.parse(own.stdout)).toMatchObject({ decision: { calibrated: false } });
  });

  it('is what evaluate measures, as a server would use it, and on images that it was not fitted on', async () => {
    expect(await calibrate('held-out', '--k', '7', '--temperature', '0.1')).toMatchObject({ code: 0 });
    const evaluated = async (data: string, ...more: string[]): Promise<Evaluated> => {
      const ran = await nearvote(
        ...['evaluate', '--data', join(base, data), '--index', index, '--workers', '1', '--json', ...more],
      );
      return JSON.parse(ran.stdout) as Evaluated;
    };
    const report = join(base, 'evaluation.html');
    const fresh = await evaluated('later', '--report', report);
    expect(fresh).toMatchObject({ vote: { k: 7, temperature: 0.1 }, served: { k: 7 }, warnings: [] });
    expect(fresh.calibrated).toMatchObject({
      ...{ of: 24, fittedOn: 0, images: 24, epsilon: 0.05 },
      confidence: { accuracy: 1, intervals: { brier: {} } },
    });
    const page = await readFile(report, 'utf8');
    expect(page).toContain('calibrated confidence: ECE');

    const same = await evaluated('held-out');
    expect(same.calibrated).toMatchObject({ of: 60, fittedOn: 60, images: 60 });
    expect(same.warnings).toContainEqual(expect.stringContaining('fitted on all of these images'));
    // One folder more of what it has not seen.
    await cp(join(base, 'later'), join(base, 'mixed'), { recursive: true });
    await cp(join(base, 'held-out', 'red'), join(base, 'mixed', 'red'), { recursive: true });
    const mixed = await evaluated('mixed');
    expect(mixed.calibrated).toMatchObject({ of: 44, fittedOn: 20, images: 24 });
    expect(mixed.warnings).toContainEqual(expect.stringContaining('fitted on 20 of these images'));

    const other = await evaluated('later', '--k', '3');
    expect(other).toMatchObject({ served: { k: 3 } });
    expect(other.calibrated).toBeUndefined();
    expect(other.warnings).toContainEqual(expect.stringContaining('calibration.json is not used'));
  }, 120_000);
});

interface Evaluated {
  readonly calibrated?: object;
  readonly warnings: readonly string[];
}

async function reload(served: Served): Promise<void> {
  const before = await served.metric('nearvote_index_reloads_total{index="colours",result="ok"}');
  served.child.kill('SIGHUP');
  await expect
    .poll(() => served.metric('nearvote_index_reloads_total{index="colours",result="ok"}'), {
      timeout: 60_000,
    })
    .toBe(before + 1);
}
