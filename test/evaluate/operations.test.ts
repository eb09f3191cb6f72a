import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit } from '../../src/audit/audit.js';
import { build } from '../../src/build/build.js';
import { calibrate } from '../../src/calibrate/calibrate.js';
import { compare } from '../../src/evaluate/compare.js';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { openIndex } from '../../src/examples/index-store.js';
import { packFingerprints } from '../../src/domain/fingerprints.js';
import type { Progress } from '../../src/domain/progress.js';
import { trainedImageDigest } from '../../src/embed/image-key.js';
import { sha256Of } from '../../src/encoder/manifest.js';
import { writeDrawnEncoder } from '../cli/drawn-encoder.js';
import { writeSmallIndex } from '../cli/small-index.js';

const colours = { red: [200, 60, 40], blue: [40, 60, 200] } as const;
type Label = keyof typeof colours;
const labels: readonly Label[] = ['red', 'blue'];

/** One colour all over, a little lighter or darker, and redder or bluer, by its number. */
function draw(label: Label, i: number): Promise<Buffer> {
  const [r, g, b] = colours[label];
  return sharp({ create: { width: 8, height: 8, channels: 3, background: { r: r + i, g, b: b - i } } })
    .png()
    .toBuffer();
}

/** The stages that an operation told of. */
function listening(): { readonly progress: Progress; readonly stages: string[] } {
  const stages: string[] = [];
  const progress = {
    start: ({ name }: { name: string }) => void stages.push(name),
    advance: () => undefined,
    finish: () => undefined,
  };
  return { progress, stages };
}

const weights = [[1, -1], [0, 0], [-1, 1]] as const; // prettier-ignore
let base = '';
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-operations-'));
  const encoderDir = join(base, 'models', 'colour');
  await writeDrawnEncoder({ dir: encoderDir, name: 'colour', weights });
  // One of the reds is labelled blue.
  const right = [];
  for (const label of labels)
    for (let i = 0; i < 6; i++) right.push({ label, bytes: await draw(label, 2 * i) });
  const wrong = [...right, { label: 'blue', bytes: await draw('red', 5) }];
  await writeSmallIndex({ root: join(base, 'index', 'right'), encoderDir, images: right });
  await writeSmallIndex({ root: join(base, 'index', 'wrong'), encoderDir, images: wrong });
  for (const label of labels) {
    await mkdir(join(base, 'data', label), { recursive: true });
    for (let i = 0; i < 8; i++) {
      await writeFile(join(base, 'data', label, `held-out-${i}.png`), await draw(label, 2 * i + 1));
    }
  }
});
afterAll(() => rm(base, { recursive: true }));

const machine = { workers: 1, threads: 1, maxBatch: 4, maxPixels: 1e6, maxImageBytes: 1e6 };
const settings = { rule: 'softmax', temperature: 0.07, k: 3, priorCorrection: false } as const;
const offline = (): { index: string; models: string; data: string } => ({
  index: join(base, 'index', 'right'),
  models: join(base, 'models'),
  data: join(base, 'data'),
});
const cifar = { split: 'test', examplesSplit: 'train' } as const;
const page = { page: true, mapPoints: 16 };

const graph = { m: 8, efConstruction: 50, ef: 20, seed: 1 };
const publish = { strict: false, keep: 1, now: () => new Date('2026-01-02T03:04:05Z') };

test('build publishes an index of the images that it is told of', async () => {
  const { progress, stages } = listening();
  const { data, models } = offline();
  const out = join(base, 'index', 'built');
  const options = { data, out, encoder: join(models, 'colour'), split: 'train', ...machine } as const;
  const report = await build({ ...options, ...publish, hnsw: graph, maxPerClass: 5 }, progress);
  expect(report).toMatchObject({
    ...{ name: 'built', changed: true, examples: 10, rejected: 0, embedded: 10 },
    leaveOneOut: { accuracy: 1 },
    manifest: { createdAt: '2026-01-02T03:04:05.000Z', labels: [{ examples: 5 }, { examples: 5 }] },
  });
  expect(stages).toEqual(['embedding', 'measuring']);
  expect((await openIndex(out)).version).toBe(report.version);
});

test('build and evaluate refuse an execution provider that is not there', async () => {
  const { index, models, data } = offline();
  const own = { data, ...machine, providers: ['abacus'], split: 'test' } as const;
  const built = { ...own, out: join(base, 'index', 'never'), encoder: join(models, 'colour') };
  await expect(build({ ...built, ...publish, hnsw: graph }, listening().progress)).rejects.toThrow(/abacus/);
  const vote = { settings, isExplicit: true };
  const measured = {
    ...own,
    ...cifar,
    index,
    models,
    vote,
    page: false,
    mapPoints: 1,
    clampK: true,
    seed: 1,
  };
  await expect(evaluate({ ...measured, search: 'exact' }, listening().progress)).rejects.toThrow(/abacus/);
});

test('evaluate measures an index and lays out its page', async () => {
  const { progress, stages } = listening();
  const vote = { settings, isExplicit: true };
  const {
    report,
    warnings,
    page: laidOut,
  } = await evaluate(
    { ...offline(), ...machine, ...cifar, ...page, search: 'exact', vote, clampK: false, seed: 1 },
    progress,
  );
  expect(report).toMatchObject({ queries: 16, examples: 12, served: { k: 3, accuracy: 1 } });
  expect(warnings.filter((warning) => !warning.includes('all but identical'))).toEqual([]);
  expect(laidOut?.sections.map(({ title }) => title)).toContain('Confusion matrix');
  expect(stages).toEqual(['embed', 'retrieval']);
});

test('evaluate refuses a k that was asked for and is above the index, and brings down one that was not', async () => {
  const vote = { settings: { ...settings, k: 13 }, isExplicit: true };
  const options = {
    ...offline(),
    ...machine,
    ...cifar,
    page: false,
    mapPoints: 1,
    search: 'exact',
    vote,
    seed: 1,
  } as const;
  await expect(evaluate({ ...options, clampK: false }, listening().progress)).rejects.toMatchObject({
    code: 'k_too_large',
  });
  const { report } = await evaluate({ ...options, clampK: true }, listening().progress);
  expect(report.served.k).toBe(12);
});

test('compare measures two indexes on the same images', async () => {
  const { models, data } = offline();
  const [a, b] = [join(base, 'index', 'right'), join(base, 'index', 'wrong')];
  const { report, page: laidOut } = await compare(
    { a, b, models, data, ...machine, ...cifar, ...page, vote: settings, k: 1, clampK: false, seed: 1 },
    listening().progress,
  );
  expect(report).toMatchObject({ queries: 16, k: 1 });
  expect(report.figures.accuracy.a).toBe(1);
  expect(report.figures.accuracy.b).toBeLessThan(1);
  expect(laidOut?.sections.map(({ title }) => title)).toContain("McNemar's test of accuracy");
});

test('every operation says how many images the encoder was trained on, whatever their folder is called', async () => {
  // Three of the sixteen, under other names; the same network as everywhere here.
  const seen = await Promise.all([1, 3, 5].map((i) => draw('red', i)));
  const packed = packFingerprints(seen.map((bytes) => trainedImageDigest({ kind: 'file', bytes })));
  const models = join(base, 'knowing');
  const dir = join(models, 'colour');
  const trainedImages = { file: 'seen.bin', sha256: sha256Of([packed]), count: 3, datasets: ['data'] };
  await writeDrawnEncoder({ dir, name: 'colour', weights, changes: { trainedOn: ['data'], trainedImages } });
  await writeFile(join(dir, 'seen.bin'), packed);
  const { progress } = listening();
  const shared = {
    ...offline(),
    models,
    ...machine,
    ...cifar,
    page: false,
    mapPoints: 1,
    clampK: false,
    seed: 1,
  };
  const vote = { settings, isExplicit: true };
  const said = 'was trained on 3 of 16 images: the figures are optimistic';

  const evaluation = await evaluate({ ...shared, search: 'exact', vote }, progress);
  expect(evaluation).toMatchObject({ dataset: 'data', embedded: { trainedOn: 3 } });
  expect(evaluation.warnings).toContain(`the encoder ${said}`);

  const [a, b] = [join(base, 'index', 'right'), join(base, 'index', 'wrong')];
  const comparison = await compare({ ...shared, a, b, vote: settings, k: 1 }, progress);
  expect(comparison.warnings).toContain(`the encoder ${said}`);
  expect(comparison.headline).toContain('16 images of data against');

  const fit = { unknownRule: 'similarity', epsilon: 0.1, force: true, now: () => new Date() } as const;
  const calibrated = await calibrate({ ...shared, ...fit, search: 'exact', vote: settings }, progress);
  expect(calibrated.trainedOn).toBe(3);

  const out = join(base, 'index', 'of-seen');
  const built = { data: shared.data, out, encoder: dir, split: 'train', ...machine, ...publish } as const;
  expect(await build({ ...built, hnsw: graph }, progress)).toMatchObject({
    trainedOn: 3,
    manifest: { dataset: 'data', trainedOn: 3 },
  });
  const audited = await audit({ ...shared, index: out, vote: settings, k: 3 }, progress);
  expect(audited.trainedOn).toBe(3);
});

test('compare and audit correct for how often the index has a label, where they are told to', async () => {
  const uneven = async (name: string, blues: number): Promise<string> => {
    const root = join(base, 'index', name);
    const images = [];
    for (let i = 0; i < 3; i++) images.push({ label: 'red', bytes: await draw('red', 2 * i) });
    for (let i = 0; i < blues; i++) images.push({ label: 'blue', bytes: await draw('blue', i) });
    await writeSmallIndex({ root, encoderDir: join(base, 'models', 'colour'), images });
    return root;
  };
  const [a, b] = [await uneven('uneven', 12), await uneven('more-uneven', 13)];
  const { models, data } = offline();
  const shared = { models, ...machine, ...cifar, ...page, k: 8, clampK: false, seed: 1 };
  const voteWith = (priorCorrection: boolean) =>
    ({ rule: 'majority', temperature: 1, priorCorrection }) as const;
  // Of the eight nearest to a red three are red: outvoted, but 3 / (3/15) is more than 5 / (12/15).
  for (const [priorCorrection, accuracy] of [
    [false, 0.5],
    [true, 1],
  ] as const) {
    // prettier-ignore
    const vote = voteWith(priorCorrection);
    const { report } = await compare({ ...shared, a, b, data, vote }, listening().progress);
    expect(report.figures.accuracy).toMatchObject({ a: accuracy, b: accuracy });
    // Of a red's own eight two are red: 2 / (3/15) is more than 6 / (12/15).
    const { audit: found } = await audit({ ...shared, index: a, vote }, listening().progress);
    expect(found.predicted.slice(0, 3)).toEqual(Array(3).fill(priorCorrection ? 'red' : 'blue'));
  }
});

test('calibrate writes what it returns beside the index', async () => {
  const fit = {
    clampK: false,
    unknownRule: 'similarity',
    epsilon: 0.1,
    force: true,
  } as const;
  const { calibration, file } = await calibrate(
    {
      ...offline(),
      ...machine,
      ...fit,
      split: 'test',
      search: 'exact',
      vote: settings,
      seed: 1,
      now: () => new Date('2026-01-02T03:04:05Z'),
    },
    listening().progress,
  );
  expect(calibration).toMatchObject({
    createdAt: '2026-01-02T03:04:05.000Z',
    images: 16,
    vote: settings,
  });
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject(calibration);
});

test('audit finds the example that was given a wrong label', async () => {
  const { progress, stages } = listening();
  const { models } = offline();
  const index = join(base, 'index', 'wrong');
  const audited = await audit(
    { index, models, ...machine, ...cifar, vote: settings, k: 3, clampK: false, seed: 1, page: true },
    progress,
  );
  expect(audited.audit.mislabelled.map(({ row, suggested }) => [row, suggested])).toEqual([[12, 'red']]);
  expect(audited.page?.title).toBe('Audit of wrong');
  expect(stages[0]).toBe('searching');
});

test('audit compares no pictures that take more memory than it was told', async () => {
  const index = join(base, 'index', 'twins');
  const pictures = join(base, 'twins');
  const twins = [];
  for (const i of [0, 20]) for (const label of labels) twins.push({ label, bytes: await draw(label, i) });
  await writeSmallIndex({ root: index, encoderDir: join(base, 'models', 'colour'), images: twins });
  // Their embeddings differ; the pictures of a label that are compared do not.
  for (const [i, { label }] of twins.entries()) {
    const slope = (at: number): number => 30 * (label === 'red' ? Math.floor(at / 8) : at % 8);
    const grey = Uint8Array.from({ length: 64 }, (_, at) => slope(at));
    await mkdir(join(pictures, label), { recursive: true });
    await sharp(grey, { raw: { width: 8, height: 8, channels: 1 } }).toFile(
      join(pictures, label, `${i}.png`),
    );
  }
  const { models } = offline();
  const duplicates = async (maxDecodeBytes: number): Promise<number> => {
    const options = { index, models, ...machine, ...cifar, examples: pictures, vote: settings, k: 1 };
    const audited = await audit(
      { ...options, maxDecodeBytes, clampK: false, seed: 1, page: false },
      listening().progress,
    );
    return audited.audit.duplicates.length;
  };
  expect(await duplicates(1e7)).toBe(2);
  expect(await duplicates(1)).toBe(0);
});

test('what reads an index leases its version while it reads, and no longer', async () => {
  const root = join(base, 'index', 'right');
  const other = join(base, 'index', 'wrong');
  const leasesOf = (one: string): string[] => {
    const folder = join(one, '.leases');
    return existsSync(folder) ? readdirSync(folder) : [];
  };
  /** How many there are at each stage. */
  const watching = (): { progress: Progress; seen: number[] } => {
    const seen: number[] = [];
    const leases = (): number => [root, other].reduce((sum, one) => sum + leasesOf(one).length, 0);
    return {
      seen,
      progress: { start: () => void seen.push(leases()), advance: () => undefined, finish: () => undefined },
    };
  };
  const { models, data } = offline();
  const common = { ...offline(), ...machine, ...cifar, page: false, mapPoints: 1, clampK: false, seed: 1 };
  const vote = { settings, isExplicit: true };
  const fit = {
    clampK: false,
    unknownRule: 'similarity',
    epsilon: 0.1,
    force: true,
  } as const;
  const operations = {
    evaluate: (progress: Progress) => evaluate({ ...common, search: 'exact', vote }, progress),
    compare: (progress: Progress) =>
      compare({ ...common, a: root, b: other, models, data, vote: settings, k: 1 }, progress),
    calibrate: (progress: Progress) =>
      calibrate({ ...common, ...fit, search: 'exact', vote: settings, now: () => new Date() }, progress),
    audit: (progress: Progress) => audit({ ...common, vote: settings, k: 3 }, progress),
  };
  for (const [name, run] of Object.entries(operations)) {
    const { seen, progress } = watching();
    await run(progress);
    expect([name, ...new Set(seen)]).toEqual([name, name === 'compare' ? 2 : 1]);
    for (const one of [root, other]) expect(leasesOf(one)).toEqual([]);
  }
});
