/*
 * CIFAR-10's test images over HTTP as PNG: accuracy, and the labels of `evaluate`; exact search over all 50,000 beside.
 *   npm run build && npx tsx bench/http-accuracy.ts [CIFAR_FOLDER]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pLimit from 'p-limit';
import sharp from 'sharp';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { startRealServer } from './real-server.js';

const [, , folder = '../shared/data/cifar10'] = process.argv;
const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'nearvote-bench-'));

interface Figures {
  readonly accuracy: readonly { readonly k: number; readonly hnsw?: number; readonly exact: number }[];
  readonly indexRecall?: { readonly value: number };
}

function nearvote(...args: string[]): string {
  return execFileSync(process.execPath, ['dist/cli/main.js', ...args], {
    cwd: root,
    maxBuffer: 1e9,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();
}

function evaluateIndex(index: string): { figures: Figures; predictions: Map<string, string> } {
  const file = join(scratch, 'predictions.jsonl');
  const output = nearvote('evaluate', '--data', folder, '--index', index, '--json', '--predictions', file);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const rows = lines.map((line) => JSON.parse(line) as { id: string; predicted: string });
  return {
    figures: JSON.parse(output) as Figures,
    predictions: new Map(rows.map(({ id, predicted }) => [id, predicted])),
  };
}

const shipped = evaluateIndex('index/cifar10');
const whole = join(scratch, 'cifar10-whole');
nearvote('build', '--data', folder, '--encoder', 'models/cifar10-wide-int8', '--out', whole);
const all = evaluateIndex(whole);

const dataset = await openDataset(folder, { split: 'test' });
const images: { id: string; label: string; png: Buffer }[] = [];
for await (const image of dataset.images()) {
  const content = await image.read();
  if (content.kind !== 'pixels') throw new Error('expected the CIFAR binary files');
  const { width, height, pixels } = content;
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  images.push({ id: image.id, label: image.label, png });
}

async function post(url: string, query: string): Promise<string[]> {
  const limit = pLimit(32);
  return Promise.all(
    images.map(({ png }) =>
      limit(async () => {
        const response = await fetch(`${url}/classify?${query}`, {
          method: 'POST',
          headers: { 'content-type': 'image/png' },
          body: new Uint8Array(png),
        });
        const { label } = (await response.json()) as { label: string };
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        return label;
      }),
    ),
  );
}

const server = await startRealServer();
const served = await post(server.url, 'neighbours=1');
const nearest = await post(server.url, 'k=1');
await server.stop();

const share = (labels: readonly (string | undefined)[]): string =>
  `${((100 * images.filter(({ label }, i) => labels[i] === label).length) / images.length).toFixed(2)} %`;
const at = ({ figures }: { figures: Figures }, k: number): { hnsw: string; exact: string } => {
  const row = figures.accuracy.find((one) => one.k === k);
  const percent = (value = NaN): string => `${(100 * value).toFixed(2)} %`;
  return { hnsw: percent(row?.hnsw), exact: percent(row?.exact) };
};
const same = images.filter(({ id }, i) => shipped.predictions.get(id) === served[i]).length;
console.log(`${images.length} CIFAR-10 test images, posted over HTTP as PNG`);
console.log(
  markdownTable(
    ['accuracy', 'k = 1', 'k = 20'],
    [
      ['over HTTP, shipped index', share(nearest), share(served)],
      ['evaluate, shipped index, HNSW', at(shipped, 1).hnsw, at(shipped, 20).hnsw],
      ['evaluate, shipped index, exact', at(shipped, 1).exact, at(shipped, 20).exact],
      ['evaluate, all 50,000 examples, exact', at(all, 1).exact, at(all, 20).exact],
    ],
  ),
);
const leastSame = 0.9995 * images.length;
console.log(
  `same label as evaluate: ${same} of ${images.length}; the bar is ${leastSame}: ${same >= leastSame ? 'reached' : 'missed'}`,
);
console.log(
  `index recall@20 of the shipped index: ${(shipped.figures.indexRecall?.value ?? NaN).toFixed(4)}`,
);
