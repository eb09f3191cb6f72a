import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCalibration } from '../../src/examples/calibration-file.js';
import { readPublished } from '../../src/examples/index-store.js';
import { nearvoteHere } from './in-process.js';
import { colours, drawSpeckled, root, type Ran } from './nearvote.js';
import { soon, spawnServed, type Served } from './served.js';
import { writeSmallIndex } from './small-index.js';

const adminKey = 'a-key-of-this-test';
let base = '';
let index = '';
const draw = (colour: readonly number[], seed: number): Promise<Buffer> =>
  drawSpeckled(colour, seed).png().toBuffer();

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-recalibrate-'));
  index = join(base, 'colours');
  const images = [];
  for (const [label, colour] of Object.entries(colours)) {
    for (let i = 0; i < 5; i++) images.push({ label, bytes: await draw(colour, i) });
  }
  await writeSmallIndex({ root: index, encoderDir: join(root, 'models/cifar10-compact'), images });
});
afterAll(() => rm(base, { recursive: true }));

const nearvote = (...args: string[]): Promise<Ran> => nearvoteHere(root, args);

async function teach(served: Served, firstSeed: number, count: number): Promise<void> {
  const examples = [];
  for (const [label, colour] of Object.entries(colours)) {
    for (let i = 0; i < count; i++) {
      examples.push({ label, image: (await draw(colour, firstSeed + i)).toString('base64') });
    }
  }
  const headers = { 'x-api-key': adminKey, 'content-type': 'application/json' };
  const body = JSON.stringify({ examples });
  expect((await fetch(`${served.url}/examples`, { method: 'POST', headers, body })).status).toBe(200);
}

const recalibrate = (served: Served, query = ''): Promise<Response> =>
  fetch(`${served.url}/calibration${query}`, { method: 'POST', headers: { 'x-api-key': adminKey } });

async function calibrationOf(served: Served): Promise<unknown> {
  const ready = (await (await fetch(`${served.url}/readyz`)).json()) as { index: { calibration?: unknown } };
  return ready.index.calibration;
}

describe('an index that was taught', () => {
  it('is calibrated anew on that by a request while it serves, and by a command', async () => {
    const served = await spawnServed(
      { index, models: join(root, 'models'), red: await draw([210, 40, 30], 7_000) },
      { env: { NEARVOTE_ADMIN_KEY: adminKey, NEARVOTE_STALE_AFTER: '0.05' } },
    );
    const stale = (): Promise<number> => served.metric('nearvote_calibration_stale{index="colours"}');
    // Nothing was taught yet.
    const refused = await recalibrate(served);
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({
      code: 'calibration_unfit',
      detail:
        'Expected examples that colours was taught, of labels with two or more, but it has none; teach it first, or calibrate it on other images by nearvote calibrate --data',
    });
    await teach(served, 100, 10);
    expect((await recalibrate(served, '?share=0')).status).toBe(400);

    const answers = await Promise.all([recalibrate(served), recalibrate(served)]);
    const [one, other] = await Promise.all(answers.map((answer) => answer.json()));
    const { version, manifest } = await readPublished(index);
    expect(manifest).toMatchObject({ sequence: 30, examples: 45 });
    expect(one).toMatchObject({ name: 'colours', fittedFor: version, images: 30, used: true, warnings: [] });
    expect(other).toEqual(one);
    expect(await calibrationOf(served)).toEqual({ fittedFor: version, changedSince: 0, stale: false });
    expect(await stale()).toBe(0);
    expect(await (await served.classify()).json()).toMatchObject({ label: 'red', calibrated: false });

    await teach(served, 200, 1);
    expect(await stale()).toBe(1);
    const { code, stdout } = await nearvote('calibrate', '--taught', '--index', index, '-k', '5', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ calibration: { images: 33, vote: { k: 5 }, overlap: 0 } });
    served.child.kill('SIGHUP');
    await expect.poll(stale, soon).toBe(0);
    const fittedFor = (await readPublished(index)).version;
    expect(await calibrationOf(served)).toEqual({ fittedFor, changedSince: 0, stale: false });
    expect((await readCalibration(index))?.index.version).toBe(fittedFor);
  });

  it('is calibrated either on that or on other images', async () => {
    expect((await nearvote('calibrate', '--index', index)).code).toBe(2);
    expect((await nearvote('calibrate', '--index', index, '--taught', '--data', base)).code).toBe(2);
    expect((await nearvote('calibrate', '--index', index, '--taught', '2')).code).toBe(2);
  });
});
