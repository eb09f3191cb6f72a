/*
 * Ten classes taught from nothing over HTTP, by 1, 2, 5, 10, 20 and 50 photos each: how many other photos are then recognised,
 * whether an index that was built of the same photos answers the same, and what correcting one photo does for those that were
 * taken for the same wrong class.
 *   npm run build && npx tsx bench/changes/teach.ts --data PHOTOS [--encoder models/cifar10-compact]
 * PHOTOS has a folder train and a folder validation, each with a folder a class.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { seededRandom } from '../drawn-images.js';
import { startRealServer, type RealServer } from '../real-server.js';

const { values } = parseArgs({
  options: { data: { type: 'string' }, encoder: { type: 'string', default: 'models/cifar10-compact' } },
});
if (values.data === undefined) throw new Error('Expected --data PHOTOS');
const counts = [1, 2, 5, 10, 20, 50];
const key = 'a-key-of-this-benchmark';
const asAdmin = { 'x-api-key': key };
const run = promisify(execFile);
const nearvote = (...args: string[]): Promise<unknown> =>
  run(process.execPath, ['dist/cli/main.js', ...args]);

interface Photo {
  readonly file: string;
  readonly label: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Of each class, in a seeded order. */
async function photosIn(folder: string): Promise<Map<string, Photo[]>> {
  const random = seededRandom(1);
  const photos = new Map<string, Photo[]>();
  for (const label of (await readdir(folder)).sort()) {
    const files = (await readdir(join(folder, label))).sort();
    const shuffled = files.map((file) => ({ file, at: random() })).sort((a, b) => a.at - b.at);
    const ofLabel = shuffled.map(async ({ file }) => {
      const path = join(folder, label, file);
      return { file: path, label, bytes: Uint8Array.from(await readFile(path)) };
    });
    photos.set(label, await Promise.all(ofLabel));
  }
  return photos;
}

async function teach(server: RealServer, { bytes, label, file }: Photo): Promise<void> {
  const body = new FormData();
  body.append('image', new Blob([bytes]), file);
  body.append('label', label);
  const answer = await fetch(`${server.url}/examples`, { method: 'POST', headers: asAdmin, body });
  if (!answer.ok) throw new Error(await answer.text());
}

interface Answer {
  readonly label: string;
  readonly scores: readonly { readonly label: string; readonly score: number }[];
}

async function ask(server: RealServer, photos: readonly Photo[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const { bytes } of photos) {
    const headers = { 'content-type': 'image/jpeg' };
    const answer = await fetch(`${server.url}/classify`, { method: 'POST', headers, body: bytes });
    if (!answer.ok) throw new Error(await answer.text());
    answers.push((await answer.json()) as Answer);
  }
  return answers;
}

const share = (answers: readonly Answer[], photos: readonly Photo[]): number =>
  answers.filter(({ label }, i) => label === photos[i]?.label).length / photos.length;

const serve = (index: string): Promise<RealServer> =>
  startRealServer(['--index', index], { env: { NEARVOTE_ADMIN_KEY: key, NEARVOTE_K: '5' } });

const data = resolve(values.data);
const known = await photosIn(join(data, 'train'));
const asked = [...(await photosIn(join(data, 'validation'))).values()].flat();
const folder = await mkdtemp(join(tmpdir(), 'nearvote-teach-'));
const taughtIndex = join(folder, 'taught');
await nearvote('index', 'create', taughtIndex, '--encoder', values.encoder);
const server = await serve(taughtIndex);
const rows: string[][] = [];
let before: Answer[] = [];
try {
  let taught = 0;
  for (const count of counts) {
    for (const photos of known.values())
      for (const photo of photos.slice(taught, count)) await teach(server, photo);
    taught = count;
    before = await ask(server, asked);
    rows.push([
      String(count),
      `${(100 * share(before, asked)).toFixed(1)} %`,
      await sameAsBuilt(count, before),
    ]);
  }
  console.log(
    markdownTable(['photos a class', 'of the others recognised', 'as an index built of the same'], rows),
  );
  await correct();
} finally {
  await server.stop();
  await rm(folder, { recursive: true });
}

/** Builds an index of the same photos and asks it the same. */
async function sameAsBuilt(count: number, answers: readonly Answer[]): Promise<string> {
  const photos = join(folder, 'photos');
  await rm(photos, { recursive: true, force: true });
  for (const [label, ofLabel] of known) {
    await mkdir(join(photos, label), { recursive: true });
    for (const [i, { file }] of ofLabel.slice(0, count).entries())
      await cp(file, join(photos, label, `${i}.jpg`));
  }
  const built = join(folder, `built-${count}`);
  await nearvote('build', '--data', photos, '--encoder', values.encoder, '--out', built);
  const other = await serve(built);
  try {
    const same = (await ask(other, asked)).filter(({ label }, i) => label === answers[i]?.label).length;
    return `${same} of ${answers.length}`;
  } finally {
    await other.stop();
  }
}

/** Of the confusion that is met most often, every tenth photo is corrected, and the rest are asked again. */
async function correct(): Promise<void> {
  const wrong = new Map<string, Photo[]>();
  for (const [i, photo] of asked.entries()) {
    const said = before[i]?.label ?? '';
    if (said === photo.label) continue;
    const confusion = `${photo.label} taken for ${said}`;
    wrong.set(confusion, [...(wrong.get(confusion) ?? []), photo]);
  }
  const corrected: Photo[] = [];
  const rest: Photo[] = [];
  for (const photos of wrong.values()) {
    for (const [i, photo] of photos.entries()) (i % 10 === 0 ? corrected : rest).push(photo);
  }
  for (const photo of corrected) await teach(server, photo);
  const repeated = await ask(server, rest);
  const right = asked.filter((photo, i) => before[i]?.label === photo.label);
  const broken = (await ask(server, right)).filter(({ label }, i) => label !== right[i]?.label).length;
  console.log(
    `\n${wrong.size} confusions among ${asked.length} photos. One of ten of each corrected, ${corrected.length} photos: ` +
      `of the other ${rest.length} that were wrong, ${Math.round(share(repeated, rest) * rest.length)} are right now; ` +
      `of the ${right.length} that were right, ${broken} are wrong now`,
  );
}
