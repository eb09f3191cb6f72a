/* What a new class costs: 500 photos added to an index of 20,000.  npm run build && npx tsx bench/add-folder.ts */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { markdownTable } from '../src/domain/markdown-table.js';

const [, , shared = '../shared/data'] = process.argv;
const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'nearvote-bench-'));
const photos = join(scratch, 'photos');

interface Report {
  readonly examples: number;
  readonly embedded: number;
  readonly fromCache: number;
  /** Of the whole command, start and measuring included. */
  readonly seconds: number;
}

function build(): Report {
  const encoder = join(root, 'models/cifar10-compact');
  const out = join(scratch, 'index', 'photos');
  const args = ['build', '--data', photos, '--encoder', encoder, '--out', out, '--json'];
  const started = performance.now();
  const { stdout, status } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    maxBuffer: 1e8,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (status !== 0) throw new Error(`the build ended with ${String(status)}`);
  const report = JSON.parse(stdout.toString()) as Report;
  return { ...report, seconds: (performance.now() - started) / 1_000 };
}

let written = 0;
for await (const image of (await openDataset(join(shared, 'cifar10'), { split: 'train' })).images()) {
  if (written === 20_000) break;
  const content = await image.read();
  if (content.kind !== 'pixels') continue;
  const folder = join(photos, image.label);
  mkdirSync(folder, { recursive: true });
  const raw = { width: content.width, height: content.height, channels: 3 } as const;
  await sharp(content.pixels, { raw })
    .png()
    .toFile(join(folder, `${written++}.png`));
}
const before = build();
mkdirSync(join(photos, 'clothes'));
const clothing = join(shared, 'clothing', 'train');
const files = readdirSync(clothing).flatMap((label) =>
  readdirSync(join(clothing, label)).map((file) => join(label, file)),
);
for (const file of files.slice(0, 500)) {
  cpSync(join(clothing, file), join(photos, 'clothes', file.replaceAll(/[/\\]/g, '-')));
}
const after = build();
rmSync(scratch, { recursive: true });
console.log(
  markdownTable(
    ['build', 'examples', 'embedded', 'from the cache', 'seconds'],
    [
      ['20,000 images', before],
      ['and a folder of 500', after],
    ].map(([name, report]) => {
      const { examples, embedded, fromCache, seconds } = report as Report;
      return [name as string, examples, embedded, fromCache, seconds.toFixed(1)];
    }),
  ),
);
