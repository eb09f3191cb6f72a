/* Start and memory of a server with a large index.  npm run build && npx tsx bench/index-memory.ts --examples 1000000 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { markdownTable } from '../src/domain/markdown-table.js';
import { readEncoderManifest } from '../src/encoder/load.js';
import { writeClusteredIndex } from './clustered-index.js';
import { drawImages } from './drawn-images.js';
import { memoryOfTree } from './process-memory.js';
import { startRealServer } from './real-server.js';

const { values } = parseArgs({
  options: {
    examples: { type: 'string', default: '1000000' },
    workers: { type: 'string', default: '4' },
    requests: { type: 'string', default: '300' },
    /** Only writes the index. */
    'only-index': { type: 'boolean', default: false },
  },
});

const most = 1.6;
const examples = Number(values.examples);
const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const encoderDir = folder('../models/cifar10-compact');
const { dimension } = (await readEncoderManifest(encoderDir)).output;

const root = folder(`../.cache/index-memory/${examples}x${dimension}`);
const building = performance.now();
const { manifest } = await writeClusteredIndex({
  ...{ root, encoderDir, examples, dimension },
  onProgress: (rows) => {
    if (rows % 20_000 !== 0) return;
    const seconds = (performance.now() - building) / 1000;
    process.stderr.write(`${rows} of ${examples} rows after ${seconds.toFixed(0)} s\n`);
  },
});
if (values['only-index']) process.exit(0);

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
const embeddings = manifest.files['embeddings.f32'].bytes;
const graph = manifest.files['vectors.hnsw']?.bytes ?? NaN;

const server = await startRealServer(['--workers', values.workers, '--index', root]);
try {
  const images = await drawImages({ count: 64, width: 32, height: 32, formats: ['png'], seed: 1 });
  for (let i = 0; i < Number(values.requests); i++) {
    const body = Uint8Array.from(images[i % images.length] ?? Buffer.alloc(0));
    const response = await fetch(`${server.url}/classify`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body,
    });
    if (!response.ok) throw new Error(`answered ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
  }

  const processes = memoryOfTree(server.pid);
  const sum = (of: (one: (typeof processes)[number]) => number): number =>
    processes.reduce((total, one) => total + of(one), 0);
  const rss = sum(({ rssBytes }) => rssBytes);
  const ratio = rss / (embeddings + graph);
  console.log(`${examples} x ${dimension}, ${values.workers} workers, after ${values.requests} requests\n`);
  console.log(
    markdownTable(
      ['process', 'RSS MB', 'PSS MB', 'peak RSS MB'],
      [
        ...processes.map(({ file, rssBytes, pssBytes = NaN, peakRssBytes }) => [
          file,
          ...[rssBytes, pssBytes, peakRssBytes].map(megabytes),
        ]),
        [
          'all',
          ...[rss, sum(({ pssBytes = NaN }) => pssBytes), sum(({ peakRssBytes }) => peakRssBytes)].map(
            megabytes,
          ),
        ],
      ],
    ),
  );
  console.log(`\nfrom start to ready: ${(server.readyMs / 1000).toFixed(1)} s`);
  console.log(`embeddings ${megabytes(embeddings)} MB, graph ${megabytes(graph)} MB`);
  console.log(
    `RSS against both: ${ratio.toFixed(2)} (bar <= ${most}: ${ratio <= most ? 'reached' : 'missed'})`,
  );
} finally {
  await server.stop();
}
