import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCalibration, servedCalibration, writeCalibration } from '../../src/examples/calibration-file.js';
import { lockFolder } from '../../src/files/lock.js';
import { aCalibration } from './a-calibration.js';

let root: string;
const { encoder } = aCalibration();
const digest = 'c'.repeat(64);
const manifest = {
  labels: [
    { label: 'red', examples: 2 },
    { label: 'blue', examples: 1 },
  ],
};
const pair = { version: 'v1', digest, manifest, encoder };
/** Of the examples that it was fitted for. */
const origin = { fittedFor: 'v1', changed: 0, labels: new Set(['red', 'blue']) };
/** As a file holds it, for what is refused before its digest is looked at. */
const written = (changes: object): object => ({ ...aCalibration(), sha256: '0'.repeat(64), ...changes });

beforeEach(async () => {
  root = join(await mkdtemp(join(tmpdir(), 'nearvote-calibration-')), 'colours');
  await mkdir(root);
  await writeFile(join(root, 'current'), 'v1\n');
});
afterEach(() => rm(join(root, '..'), { recursive: true }));

const file = (): string => join(root, 'calibration.json');

describe('calibration.json', () => {
  it('comes back as it was written, and nothing else is left', async () => {
    const isotonic = aCalibration();
    const sigmoid = aCalibration({ confidence: { kind: 'temperature', slope: 0.7, bias: -0.2 } });
    const plain = aCalibration({ confidence: { kind: 'share' } });
    const directions = [
      { label: 'a', direction: [1, 0] },
      { label: 'b', direction: [0, 1] },
    ];
    const logistic = aCalibration({
      confidence: { kind: 'logistic', weights: [1, 2, -3, 4, 0.5], bias: -1, directions },
    });
    for (const calibration of [isotonic, sigmoid, plain, logistic]) {
      await writeCalibration(root, calibration);
      expect(await readCalibration(root)).toEqual(calibration);
    }
    expect((await readdir(root)).sort()).toEqual(['calibration.json', 'current']);
  });

  it('is refused once a figure in it was edited', async () => {
    await writeCalibration(root, aCalibration());
    const before = JSON.parse(await readFile(file(), 'utf8')) as Record<string, object>;
    await writeFile(file(), JSON.stringify({ ...before, vote: { ...before['vote'], k: 7 } }));
    await expect(readCalibration(root)).rejects.toMatchObject({
      code: 'calibration_invalid',
      message: 'Expected calibration.json as it was written but it was changed since: calibrate again',
    });
  });

  it.each([
    ['sha256', written({ sha256: undefined })],
    ['encoder.digest', written({ encoder: { name: 'mean-colour', sha256: 'a'.repeat(64) } })],
  ])('is refused without %s, whatever else it says', async (field, content) => {
    await writeFile(file(), JSON.stringify(content));
    await expect(readCalibration(root)).rejects.toMatchObject({
      code: 'calibration_invalid',
      message: `Expected a valid calibration.json but ${field} is wrong: Expected a sha256, which older versions of nearvote did not write: calibrate again`,
    });
  });

  it('is refused where an older version wrote it, with what helps', async () => {
    await writeFile(file(), JSON.stringify(written({ schemaVersion: 1 })));
    await expect(readCalibration(root)).rejects.toMatchObject({
      code: 'calibration_invalid',
      message:
        'Expected a valid calibration.json but schemaVersion is wrong: Expected 2, but another version of nearvote wrote it: calibrate again',
    });
  });

  it('is not written for a version that is no longer the one published', async () => {
    await writeCalibration(root, aCalibration());
    const before = await readFile(file(), 'utf8');
    await writeFile(join(root, 'current'), 'v2\n');
    await expect(writeCalibration(root, aCalibration({ seed: 5 }))).rejects.toMatchObject({
      code: 'index_changed',
      message:
        'Expected index colours to be at version v1, as when the calibration began, but it is at v2; calibrate again',
    });
    expect(await readFile(file(), 'utf8')).toBe(before);
    expect((await readdir(root)).sort()).toEqual(['calibration.json', 'current']);
  });

  it('is not written while a build holds the index', async () => {
    const lock = await lockFolder(root);
    await expect(writeCalibration(root, aCalibration())).rejects.toMatchObject({ code: 'output_unwritable' });
    await lock.release();
    await writeCalibration(root, aCalibration());
  });

  const broken: [string, unknown][] = [
    ['confidence', written({ confidence: { kind: 'isotonic', shares: [0, 1], probabilities: [1, 0] } })],
    ['confidence', written({ confidence: { kind: 'isotonic', shares: [0.5], probabilities: [] } })],
    ['unknown.familiarities', written({ unknown: { ...aCalibration().unknown, familiarities: [2, 1] } })],
    ['unknown.epsilon', written({ unknown: { ...aCalibration().unknown, epsilon: 1 } })],
    ['vote.temperature', written({ vote: { ...aCalibration().vote, temperature: 0 } })],
    ['topSimilarity', written({ topSimilarity: { edges: [1], counts: [1] } })],
    ['schemaVersion', written({ schemaVersion: 3 })],
    [
      'confidence.directions',
      written({ confidence: { kind: 'logistic', weights: [1, 1, 1, 1, 1], bias: 0, directions: [] } }),
    ],
    ['the whole', [1, 2]],
  ];
  it.each(broken)('is calibration_invalid where %s is wrong', async (field, content) => {
    await writeFile(file(), JSON.stringify(content));
    await expect(readCalibration(root)).rejects.toMatchObject({
      code: 'calibration_invalid',
      message: expect.stringContaining(`but ${field}`) as string,
    });
  });
});

describe('the calibration that is served', () => {
  it('is the one for this version and this encoder', async () => {
    expect(await servedCalibration(root, pair)).toEqual({ kind: 'absent' });
    await writeCalibration(root, aCalibration());
    expect(await servedCalibration(root, pair)).toEqual({
      kind: 'active',
      calibration: aCalibration(),
      origin,
    });
  });

  it('is the one for this content, whichever version has it', async () => {
    const ofContent = aCalibration({ index: { name: 'colours', version: 'v1', digest } });
    await writeCalibration(root, ofContent);
    // Built again with the same content after another: the version's name is new.
    expect(await servedCalibration(root, { ...pair, version: 'v3' })).toEqual({
      kind: 'active',
      calibration: ofContent,
      origin,
    });
    const other = { ...pair, digest: 'e'.repeat(64) };
    expect(await servedCalibration(root, other)).toMatchObject({ kind: 'ignored' });
  });

  it('is that of the version that changes made this one from, and knows how much they changed', async () => {
    await writeCalibration(root, aCalibration({ index: { name: 'colours', version: 'v1', digest } }));
    const lineage = [
      { version: 'v2', digest: 'd'.repeat(64), changed: 1, newLabels: [] },
      { version: 'v1', digest, changed: 5, newLabels: ['blue'] },
    ];
    const compacted = { ...pair, version: 'v3', digest: 'e'.repeat(64), manifest: { ...manifest, lineage } };
    expect(await servedCalibration(root, compacted)).toMatchObject({
      kind: 'active',
      origin: { fittedFor: 'v1', changed: 5, labels: new Set(['red']) },
    });
    const others = { ...compacted, manifest: { ...manifest, lineage: lineage.slice(0, 1) } };
    expect(await servedCalibration(root, others)).toMatchObject({ kind: 'ignored' });
  });

  it.each([
    ['another version', { ...pair, version: 'v0' }, /version v0 but it is for v1/],
    [
      'another encoder',
      { ...pair, encoder: { ...encoder, name: 'other', sha256: 'b'.repeat(64) } },
      /encoder other/,
    ],
    [
      'another geometry',
      { ...pair, encoder: { ...encoder, digest: 'b'.repeat(64) } },
      /geometry .* changed since/,
    ],
  ])('is ignored for %s, with the reason', async (_, other, reason) => {
    await writeCalibration(root, aCalibration());
    expect(await servedCalibration(root, other)).toEqual({
      kind: 'ignored',
      reason: expect.stringMatching(reason) as string,
    });
  });

  it('is ignored where the file is broken or cannot be read', async () => {
    await writeFile(file(), '{"schemaVersion": 1');
    expect(await servedCalibration(root, pair)).toMatchObject({ kind: 'ignored' });
    await rm(file());
    await mkdir(file());
    expect(await servedCalibration(root, pair)).toMatchObject({ kind: 'ignored' });
  });
});
