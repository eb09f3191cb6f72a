/*
 * Duplicates and leaks among photos: what audit reports of photos of clothes that are not copies, and what it finds of
 * copies of 200 of them that were saved again, made smaller, cropped and mirrored.
 *   npm run build && npx tsx bench/audit-photos.ts [CLOTHING_FOLDER] [ENCODER_FOLDER ...]
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import type { Finding } from '../src/audit/findings.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { sampleRows } from '../src/domain/seeded-random.js';
import type { LabelledImage } from '../src/image/dataset/dataset.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';

const [clothing = '../shared/data/clothing', ...more] = process.argv.slice(2);
const encoders = ['models/cifar10-compact', ...more];
const [train, validation] = [resolve(clothing, 'train'), resolve(clothing, 'validation')];
const copied = 200;

interface Upright {
  readonly width: number;
  readonly height: number;
}
const cropped = (image: Sharp, { width, height }: Upright): Sharp => {
  const [left, top] = [Math.round(0.05 * width), Math.round(0.05 * height)];
  return image.extract({ left, top, width: width - 2 * left, height: height - 2 * top });
};
const copies: Readonly<Record<string, (image: Sharp, size: Upright) => Sharp>> = {
  'saved again, quality 60': (image) => image.jpeg({ quality: 60 }),
  'saved again, quality 30': (image) => image.jpeg({ quality: 30 }),
  'half as large': (image, { width }) => image.resize(Math.round(width / 2)),
  '120 pixels wide': (image) => image.resize(120),
  '5 % off each edge': cropped,
  mirrored: (image) => image.flop(),
  'mirrored, 5 % off each edge, quality 40': (image, size) =>
    cropped(image, size).flop().jpeg({ quality: 40 }),
};

const base = await mkdtemp(join(tmpdir(), 'nearvote-audit-photos-'));
const nearvote = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['dist/cli/main.js', ...args], { maxBuffer: 1e8 });

/** Writes the copies of some photos of the training set, one folder a way of copying, and says whose copy each is. */
async function writeCopies(): Promise<Map<string, string>> {
  const photos: LabelledImage[] = [];
  for await (const photo of (await openDataset(train, { split: 'train' })).images()) photos.push(photo);
  const originals = new Map<string, string>();
  // Odd rows were used to choose the thresholds.
  const even = photos.filter((_, row) => row % 2 === 0);
  for (const at of sampleRows({ size: even.length, count: copied, seed: 1 })) {
    const photo = even[at];
    const content = await photo?.read();
    if (photo === undefined || content?.kind !== 'file') throw new Error('Expected a folder of photos');
    const { data, info } = await sharp(content.bytes)
      .autoOrient()
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    for (const [number, copy] of Object.values(copies).entries()) {
      const id = `${photo.label}/${number}-${at}.jpg`;
      await mkdir(join(base, 'copies', photo.label), { recursive: true });
      await copy(sharp(data, { raw: info }).jpeg({ quality: 90 }), info).toFile(join(base, 'copies', id));
      originals.set(id, photo.id);
    }
  }
  return originals;
}

async function findingsOf(index: string, test: string): Promise<Finding[]> {
  const out = join(base, 'findings.jsonl');
  await nearvote(...['audit', '--index', index, '--examples', train, '--test', test, '--out', out]);
  const lines = (await readFile(out, 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Finding);
}

try {
  const originals = await writeCopies();
  await writeFile(join(base, 'originals.json'), JSON.stringify([...originals]));
  const found: string[][] = Object.keys(copies).map((what) => [what]);
  const reported: string[][] = [];
  for (const encoder of encoders) {
    const index = join(base, basename(encoder));
    await nearvote(...['build', '--data', train, '--encoder', resolve(encoder), '--out', index]);
    const leaked = (await findingsOf(index, join(base, 'copies'))).filter(({ kind }) => kind === 'leak');
    const hits = Object.keys(copies).map(() => 0);
    for (const finding of leaked) {
      if (finding.kind !== 'leak') continue;
      const { id } = finding.test;
      if (!finding.sources.includes(originals.get(id) ?? '')) continue;
      const number = Number(/\/(\d+)-/.exec(id)?.[1]);
      hits[number] = (hits[number] ?? 0) + 1;
    }
    for (const [number, row] of found.entries())
      row.push(`${((100 * (hits[number] ?? 0)) / copied).toFixed(1)} %`);
    const own = await findingsOf(index, validation);
    const leaks = own.flatMap((finding) => (finding.kind === 'leak' ? [finding] : []));
    const groups = own.flatMap((one) =>
      one.kind === 'duplicates' || one.kind === 'conflicting-duplicates' ? [one] : [],
    );
    reported.push([basename(encoder), String(leaks.length), String(groups.length)]);
    for (const { test, sources } of leaks) console.log(`leak: ${test.id} is ${sources.join(', ')}`);
    for (const { sources } of groups) console.log(`duplicates: ${sources.join(', ')}`);
  }
  console.log(markdownTable(['copies found', ...encoders.map((encoder) => basename(encoder))], found));
  console.log();
  console.log(
    markdownTable(
      ['encoder', 'leaks, training against validation', 'groups of duplicates, training'],
      reported,
    ),
  );
} finally {
  await rm(base, { recursive: true, force: true });
}
