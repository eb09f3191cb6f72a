import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compactIndex } from '../../src/build/compact.js';
import { calibrateTaught, type CalibrateTaughtOptions } from '../../src/calibrate/calibrate-taught.js';
import { calibrationWarnings, nothingUnknown } from '../../src/calibrate/calibration-warnings.js';
import { replacedBy } from '../../src/calibrate/replaced-calibration.js';
import { roundDown } from '../../src/calibrate/fit-calibration.js';
import { changeIndex } from '../../src/curate/change-index.js';
import { readCalibration } from '../../src/examples/calibration-file.js';
import { contentDigest, readPublished } from '../../src/examples/index-store.js';
import type { NewExample } from '../../src/neighbours/changes.js';
import { encoderIdentity, publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle, seededRandom } from '../neighbours/unit-vectors.js';

const now = (): Date => new Date('2026-03-01T00:00:00.000Z');
const progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const k = 5;
/** Of what came with the version, degrees on a circle. */
const built = Array.from({ length: 20 }, (_, i) => ({ degrees: 3 * i, label: i < 10 ? 'east' : 'north' }));
const random = seededRandom(4);
const taught = Array.from({ length: 60 }, (_, i) => {
  const degrees = 60 * random();
  const byte = Math.floor(256 * random());
  return {
    ...{ degrees, label: degrees < 20 + 20 * random() ? 'east' : 'north' },
    digest: Buffer.alloc(32, i).fill(byte, 0, 1).toString('hex'),
  };
});

let root = '';
beforeAll(async () => {
  root = join(await mkdtemp(join(tmpdir(), 'nearvote-taught-')), 'winds');
  await publishSmallIndex({
    root,
    embeddings: onCircle(built.map(({ degrees }) => degrees)),
    examples: built.map(({ label }, i) => ({ id: `b${i}`, label, source: `${i}.png` })),
  });
  const examples = taught.map(({ degrees, label, digest }): NewExample => ({
    ...{ label, digest, source: 'upload', embedding: onCircle([degrees]).values },
  }));
  // The only example of its label: without it nothing could be right.
  examples.push({
    ...{ label: 'lone', digest: '00'.repeat(32), source: 'upload', embedding: onCircle([30]).values },
  });
  const request = { kind: 'add', examples, reason: null, who: null } as const;
  await changeIndex({ root, now, request });
  await compactIndex({ root, keep: 2, threads: 1, progress, now });
});
afterAll(() => rm(join(root, '..'), { recursive: true }));

const calibrate = (options: Partial<CalibrateTaughtOptions> = {}): ReturnType<typeof calibrateTaught> => {
  const { name, sha256, digest } = encoderIdentity;
  return calibrateTaught({
    ...{ root, encoder: { name, sha256, digest }, share: 1, search: 'exact', threads: 1 },
    vote: { rule: 'softmax', temperature: 0.07, k, priorCorrection: false },
    ...{ clampK: true, unknownRule: 'similarity', epsilon: 0.05, seed: 0, now },
    ...{ replace: false, replaceBy: '--force' },
    ...options,
  });
};

const cosine = (a: number, b: number): number => Math.cos(((a - b) * Math.PI) / 180);

describe('a calibration on what an index was taught', () => {
  it('asks each example with itself left out, and no other', async () => {
    const { calibration, unseen } = await calibrate();
    expect(calibration).toMatchObject({
      ...{ images: 60, overlap: 0, vote: { k } },
      index: { version: (await readPublished(root)).version },
    });
    expect(unseen).toEqual(['lone']);
    // The k-th similarity among all others, by a plain double loop.
    const all = [...built, ...taught, { degrees: 30 }];
    const expected = taught
      .map((one) => {
        const others = all
          .filter((other) => other !== one)
          .map((other) => cosine(one.degrees, other.degrees));
        return others.sort((a, b) => b - a)[k - 1] ?? NaN;
      })
      .sort((a, b) => a - b);
    for (const [i, familiarity] of calibration.unknown.familiarities.entries()) {
      expect(familiarity).toBeCloseTo(roundDown(expected[i] ?? NaN), 5);
    }
    expect(await readCalibration(root)).toEqual(calibration);
  });

  it('asks a share by the digests of the images, the same each time', async () => {
    const { calibration } = await calibrate({ share: 0.5, replace: true });
    const half = taught.filter(({ digest }) => parseInt(digest.slice(0, 2), 16) < 128);
    expect(half.length).toBeGreaterThan(15);
    expect(half.length).toBeLessThan(45);
    expect(calibration.images).toBe(half.length);
  });

  it('leaves a calibration on more images in place unless that is meant', async () => {
    const { calibration } = await calibrate({ replace: true });
    await expect(calibrate({ share: 0.5 })).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringMatching(
        /fitted on, which are 60 of .* --force replaces it all the same$/,
      ) as string,
    });
    expect(await readCalibration(root)).toEqual(calibration);
    const half = await calibrate({ share: 0.5, replace: true });
    expect(half.replaces).toMatchObject({ images: 60, stale: false });
    expect(calibrationWarnings(half)).toEqual([
      expect.stringContaining('no image has the label lone:'),
      'it takes the place of a calibration on 60 images of examples that were taught, each left out',
    ]);
    // As many again is no loss.
    expect((await calibrate({ share: 0.5 })).replaces).toMatchObject({ images: half.calibration.images });
  });

  it('leaves one in place by which an image can be unknown, where by as many none can be', async () => {
    const { calibration } = await calibrate({ replace: true });
    const unknown = { ...calibration.unknown, threshold: null };
    const { version, manifest } = await readPublished(root);
    const parts = {
      ...{ root, replace: false, replaceBy: '--force' as const },
      pair: { version, digest: contentDigest(manifest), manifest, encoder: calibration.encoder },
      state: { sequence: 61, changed: 0, examples: manifest.examples, labels: manifest.labels },
    };
    await expect(replacedBy({ ...calibration, unknown }, parts)).rejects.toThrow(
      'with which an image can be unknown',
    );
    expect(await replacedBy(calibration, parts)).toMatchObject({ images: 60, stale: false });
    expect(nothingUnknown({ ...calibration, unknown })).toContain('no image can be unknown: epsilon 0.05');
  });

  it('takes the place of one that is stale', async () => {
    await calibrate({ replace: true });
    const changed = await calibrate({ share: 0.5, staleAfter: -1 });
    expect(changed.replaces).toMatchObject({ images: 60, stale: true });
    expect(calibrationWarnings(changed).at(-1)).toMatch(/60 images of .*, which was stale$/);
    await calibrate();
  });

  it('is refused where there is too little, and the one from before stays', async () => {
    const { calibration } = await calibrate();
    await expect(calibrate({ share: 0.01 })).rejects.toMatchObject({ code: 'dataset_invalid' });
    await expect(
      calibrate({ vote: { rule: 'softmax', temperature: 0.07, k: 70, priorCorrection: false } }),
    ).rejects.toMatchObject({ code: 'dataset_invalid' });
    expect(await readCalibration(root)).toEqual(calibration);
  });
});
