/*
 * Two servers of one worker and one thread each, behind a balancer, against one of them, in turns: what a second machine is
 * worth while the encoder is what costs.
 *   npm run build && npx tsx bench/two-servers.ts --encoder FOLDER [--rounds 5]
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { markdownTable } from '../src/domain/markdown-table.js';
import { drawImages } from './drawn-images.js';
import { median } from './figures.js';
import { startLoad } from './load.js';
import { startRealServer } from './real-server.js';
import { machine } from './report.js';

const { values } = parseArgs({
  options: {
    encoder: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    /** Of each side of an image: decoding costs little of a small one, and the encoder is what bounds. */
    pixels: { type: 'string', default: '32' },
  },
});
const { encoder } = values;
if (encoder === undefined) throw new Error('Expected --encoder FOLDER');
const pixels = Number(values.pixels);
const connections = [8, 32];

const folder = await mkdtemp(join(tmpdir(), 'nearvote-two-'));
const images = await drawImages({ count: 96, width: pixels, height: pixels, formats: ['jpeg'], seed: 1 });
for (const [i, image] of images.slice(0, 32).entries()) {
  const label = join(folder, 'photos', i % 2 === 0 ? 'even' : 'odd');
  await mkdir(label, { recursive: true });
  await writeFile(join(label, `${i}.jpg`), image);
}
const out = join(folder, 'index');
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const build = ['build', '--data', join(folder, 'photos'), '--encoder', encoder, '--out', out];
await promisify(execFile)(process.execPath, [cli, ...build]);

const flags = ['--workers', '1', '--threads', '1', '--index', out, '--models', dirname(resolve(encoder))];
const servers = [await startRealServer(flags), await startRealServer(flags)];
const [first] = servers;
if (first === undefined) throw new Error('there is no server');

/** Gives each new connection to the next server. */
let next = 0;
const balancer = createServer((client) => {
  const { hostname, port } = new URL(servers[next++ % servers.length]?.url ?? '');
  const server = connect(Number(port), hostname);
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}).listen(0, '127.0.0.1');
await once(balancer, 'listening');
const { port } = balancer.address() as AddressInfo;

const bodies = images.slice(32);
const loads = await Promise.all(
  [first, { ...first, url: `http://127.0.0.1:${port}` }].map((server) =>
    startLoad({ server, contentType: 'image/jpeg', bodies }),
  ),
);
const ratios = connections.map((): number[] => []);
const rates = connections.map((): number[][] => [[], []]);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [i, at] of connections.entries()) {
    const sums = [0, 0];
    for (const side of round % 2 === 0 ? [0, 1, 1, 0] : [1, 0, 0, 1]) {
      const load = loads[side];
      if (load === undefined) continue;
      const { answered, failed, seconds } = await load.closed({
        connections: at,
        seconds: 4,
        warmupSeconds: 1,
      });
      if (failed > 0) throw new Error(`${failed} requests failed`);
      sums[side] = (sums[side] ?? NaN) + answered / seconds / 2;
    }
    const [alone = NaN, both = NaN] = sums;
    rates[i]?.[0]?.push(alone);
    rates[i]?.[1]?.push(both);
    ratios[i]?.push(both / alone);
  }
}
for (const load of loads) load.stop();
balancer.close();
for (const server of servers) await server.stop();
await rm(folder, { recursive: true });

console.log(`${machine()}. Medians of ${values.rounds} rounds, ${pixels} x ${pixels} JPEGs, images/s\n`);
console.log(
  markdownTable(
    ['connections', 'one server', 'two behind a balancer', 'ratio', 'least and most'],
    connections.map((at, i) => {
      const of = ratios[i] ?? [];
      return [
        at,
        ...[0, 1].map((side) => median(rates[i]?.[side] ?? []).toFixed(1)),
        median(of).toFixed(2),
        `${Math.min(...of).toFixed(2)} to ${Math.max(...of).toFixed(2)}`,
      ];
    }),
  ),
);
