/*
 * An index that is flipped back and forth by its pointer while it is asked: whether any answer mixes two bundles.
 *
 *   npm run build && npx tsx bench/flip.ts [--flips 20] [--connections 16]
 *
 * Two bundles hold the shipped index, once with `a/` and once with `b/` before every id and label. A real server follows the
 * pointer of a web server in this process, which also sends the requests. It exits with 1 where an answer mixes or fails.
 */
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { exportIndex } from '../src/curate/export-index.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { exampleLine, readExamplesFile } from '../src/examples/examples-file.js';
import { readPublished } from '../src/examples/index-store.js';
import { stageVersion } from '../src/examples/publish.js';
import { digestFile } from '../src/files/digest.js';
import { shippedIndex } from '../src/pair.js';
import { decisionSchema } from '../src/server/schemas.js';
import { openBundleHost, type BundleHost } from '../test/bundles/bundle-host.js';
import { drawImages } from './drawn-images.js';
import { percentile } from './figures.js';
import { memoryOfTree } from './process-memory.js';
import { startRealServer } from './real-server.js';
import { machine } from './report.js';

const { values } = parseArgs({
  options: { flips: { type: 'string', default: '20' }, connections: { type: 'string', default: '16' } },
});
const flips = Number(values.flips);
const connections = Number(values.connections);
const sides = ['a', 'b'] as const;
type Side = (typeof sides)[number];

/** After the first answer of the other bundle, in which what served before is closed. */
const settleMs = 1_000;
/** Without a flip, at the start. */
const quietSeconds = 8;

interface Bundle {
  readonly version: string;
  /** What the pointer says. */
  readonly line: string;
}

/** The shipped index under other names, as a bundle of the host. */
async function makeBundle(
  side: Side,
  { folder, host }: { folder: string; host: BundleHost },
): Promise<Bundle> {
  const { dir, manifest } = await readPublished(shippedIndex.dir);
  const root = join(folder, side, 'photos');
  const staged = await stageVersion(root);
  try {
    const examples = (await readExamplesFile(join(dir, 'examples.jsonl'))).map(({ id, label, source }) =>
      exampleLine({ id: `${side}/${id}`, label: `${side}/${label}`, source }),
    );
    await writeFile(join(staged.dir, 'examples.jsonl'), examples.join(''));
    for (const file of ['embeddings.f32', 'rejects.jsonl'])
      await copyFile(join(dir, file), join(staged.dir, file));
    await staged.publish({
      keep: 0,
      manifest: {
        ...manifest,
        labels: manifest.labels.map((one) => ({ ...one, label: `${side}/${one.label}` })),
        // Without its graph, which is built where hnswlib is: 10,000 examples are searched exactly.
        files: {
          'embeddings.f32': manifest.files['embeddings.f32'],
          'rejects.jsonl': manifest.files['rejects.jsonl'],
          'examples.jsonl': await digestFile(join(staged.dir, 'examples.jsonl')),
        },
      },
    });
  } finally {
    await staged.close();
  }
  const { path, sha256, version } = await exportIndex({ root, out: join(folder, 'bundles') });
  host.files.set(`/${sha256}.tar`, await readFile(path));
  return { version, line: `${sha256}.tar#sha256:${sha256}\n` };
}

interface Answer {
  /** On the clock of `performance`. */
  readonly at: number;
  readonly ms: number;
  readonly status: number;
  /** The bundles that it names, by version, label, score or neighbour. */
  readonly named: ReadonlySet<string>;
}

const sideOf = (name: string): string => name.split('/')[0] ?? '';

/** Every connection sends its next image when the last is answered. */
function startLoop(
  url: URL,
  { images, sideOfVersion }: { images: readonly Buffer[]; sideOfVersion: ReadonlyMap<string, Side> },
) {
  const answers: Answer[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let stopping = false;
  let serving: string | undefined;
  let next = 0;
  let errors = 0;

  function ask(body: Buffer): Promise<{ status: number; content: string }> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'image/png', 'content-length': body.length };
      const sent = request(url, { method: 'POST', agent, headers }, (res) => {
        text(res).then((content) => resolve({ status: res.statusCode ?? 0, content }), reject);
      });
      sent.on('error', reject).end(body);
    });
  }

  async function connection(): Promise<void> {
    while (!stopping) {
      const from = performance.now();
      const { status, content } = await ask(images[next++ % images.length] ?? Buffer.alloc(0)).catch(
        (error: unknown) => ({ status: 0, content: String(error) }),
      );
      const named = new Set<string>();
      if (status === 200) {
        const { index, label, scores, neighbours } = decisionSchema.parse(JSON.parse(content));
        named.add(sideOfVersion.get(index.version) ?? index.version).add(sideOf(label));
        for (const one of scores) named.add(sideOf(one.label));
        for (const one of neighbours) named.add(sideOf(one.id)).add(sideOf(one.label));
        [serving] = named;
      } else if (errors++ < 10) {
        console.error(status, content);
      }
      answers.push({ at: from, ms: performance.now() - from, status, named });
    }
  }

  const running = Promise.all(Array.from({ length: connections }, connection));
  return {
    answers,
    serving: () => serving,
    stop: async () => {
      stopping = true;
      await running;
      agent.destroy();
    },
  };
}

const folder = await mkdtemp(join(tmpdir(), 'nearvote-flip-'));
const host = await openBundleHost();
const bundles = new Map<Side, Bundle>();
for (const side of sides) bundles.set(side, await makeBundle(side, { folder, host }));
let fetchedAt = 0;
const point = (side: Side): void => {
  const line = Buffer.from(bundles.get(side)?.line ?? '');
  fetchedAt = 0;
  // When the server first reads it: until then nothing happens.
  host.faults.set('/photos.pointer', (_req, res) => {
    if (fetchedAt === 0) fetchedAt = performance.now();
    res.end(line);
  });
};
point('a');
const cache = join(folder, 'cache');
const server = await startRealServer([
  ...['--index', `${host.url}/photos.pointer`, '--allow-http', '--poll-seconds', '1', '--cache-dir', cache],
]);
const held = () => {
  const processes = memoryOfTree(server.pid);
  const rss = processes.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  return { processes: processes.length, megabytes: Math.round(rss / 1e6) };
};
const images = await drawImages({ count: 500, width: 32, height: 32, formats: ['png'], seed: 1 });
const loop = startLoop(new URL('/classify', server.url), {
  images,
  sideOfVersion: new Map([...bundles].map(([side, { version }]) => [version, side])),
});
const windows: { readonly from: number; readonly to: number }[] = [];
try {
  await wait(2_000);
  const began = performance.now();
  await wait(quietSeconds * 1_000);
  const quiet = { from: began, to: performance.now() };
  const before = held();
  for (let flip = 1; flip <= flips; flip++) {
    const side = sides[flip % 2] ?? 'a';
    point(side);
    const deadline = performance.now() + 60_000;
    while (loop.serving() !== side && performance.now() < deadline) await wait(5);
    if (loop.serving() !== side) break;
    await wait(settleMs);
    windows.push({ from: fetchedAt, to: performance.now() });
  }
  const after = held();
  await loop.stop();
  const within = ({ from, to }: { from: number; to: number }) =>
    loop.answers.filter(({ at, ms }) => at + ms >= from && at <= to);
  const msOf = (answers: readonly Answer[]): number[] => answers.map(({ ms }) => ms);
  const calm = msOf(within(quiet));
  const during = msOf(windows.flatMap(within));
  const errors = loop.answers.filter(({ status }) => status !== 200).length;
  const mixed = loop.answers.filter(({ named }) => named.size > 1).length;
  const leases = (await readdir(join(cache, 'bundles', '.leases'))).length;
  const kept = (await readdir(join(cache, 'bundles'))).filter((name) => !name.startsWith('.')).length;
  const ms = (value: number): string => value.toFixed(1);
  console.log(
    `${machine()}. ${connections} connections, closed loop, 32 x 32 PNG, the shipped index and encoder`,
  );
  console.log(
    markdownTable(
      ['', ''],
      [
        ['answers', loop.answers.length],
        ['flips seen', `${windows.length} of ${flips}`],
        ['answers that mix bundles', mixed],
        ['errors', errors],
        [
          'p50 without flips, during them, ms',
          `${ms(percentile(calm, 0.5))}, ${ms(percentile(during, 0.5))}`,
        ],
        [
          'p99 without flips, during them, ms',
          `${ms(percentile(calm, 0.99))}, ${ms(percentile(during, 0.99))}`,
        ],
        ['processes before, after', `${before.processes}, ${after.processes}`],
        ['RSS of all of them before, after, MB', `${before.megabytes}, ${after.megabytes}`],
        ['bundles in the cache, leases on them', `${kept}, ${leases}`],
      ],
    ),
  );
  const reached = mixed === 0 && errors === 0 && windows.length === flips;
  console.log(`\nBar: no answer mixes versions, no error: ${reached ? 'reached' : 'missed'}`);
  if (!reached) process.exitCode = 1;
} finally {
  await loop.stop();
  await server.stop();
  await host.close();
  await rm(folder, { recursive: true, force: true });
}
