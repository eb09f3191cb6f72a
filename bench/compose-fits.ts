/*
 * Whether the limits of compose.yaml fit each other: the server with its environment, under its mem_limit as the kernel
 * keeps it, while clients send the heaviest that is allowed.
 * npm run build && npx tsx bench/compose-fits.ts [--seconds N] [--limit BYTES] [NAME=VALUE ...]
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { z } from 'zod';
import { markdownTable } from '../src/domain/markdown-table.js';
import { jpegOfManyScans, jpegSegment } from '../test/attacks/hostile-images.js';
import { drawImages } from './drawn-images.js';
import { limitMemory } from './memory-limit.js';
import { memoryOfTree } from './process-memory.js';
import { startRealServer } from './real-server.js';
import { machine } from './report.js';

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '40' }, limit: { type: 'string' } },
  allowPositionals: true,
});

const serviceSchema = z.object({
  mem_limit: z.string(),
  environment: z.record(z.string(), z.unknown()).optional(),
});
const compose = z
  .object({ services: z.object({ nearvote: serviceSchema }) })
  .parse(parse(readFileSync(new URL('../compose.yaml', import.meta.url), 'utf8')));
const service = compose.services.nearvote;
const limitBytes = values.limit === undefined ? bytesOf(service.mem_limit) : Number(values.limit);
const env = Object.fromEntries([
  ...Object.entries(service.environment ?? {}).map(([name, value]) => [name, String(value)]),
  ...positionals.map((pair) => pair.split(/=(.*)/s).slice(0, 2)),
]) as Record<string, string>;

/** Docker's units: powers of 1024. */
function bytesOf(text: string): number {
  const [, number, unit = ''] = /^([\d.]+)\s*([kmg]?)b?$/i.exec(text) ?? [];
  return Number(number) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
}

/** As many megapixels as 7 bytes each leave of the decode limit, in so many scans, filled up to nearly 10 MB. */
function heaviestJpeg(): Buffer {
  const budget = Number(env['NEARVOTE_MAX_DECODE_BYTES'] ?? 300_000_000);
  const side = Math.floor(Math.sqrt(Math.min(49e6, (0.98 * budget) / 7)) / 8) * 8;
  const whole = jpegOfManyScans({ width: side, height: side, scans: 10, components: 3 });
  const comment = Buffer.concat([jpegSegment(0xfe), Buffer.alloc(65_533)]);
  comment.writeUInt16BE(65_535, 2);
  const comments = Array.from(
    { length: Math.floor((9_900_000 - whole.length) / comment.length) },
    () => comment,
  );
  return Buffer.concat([whole.subarray(0, 2), ...comments, whole.subarray(2)]);
}

function formOf(images: readonly Uint8Array[]): { readonly type: string; readonly body: Buffer } {
  const parts = images.flatMap((image) => [
    Buffer.from('--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'),
    image,
    Buffer.from('\r\n'),
  ]);
  return {
    type: 'multipart/form-data; boundary=b',
    body: Buffer.concat([...parts, Buffer.from('--b--\r\n')]),
  };
}

function jsonOf(images: readonly Buffer[]): { readonly type: string; readonly body: Buffer } {
  const body = JSON.stringify({ images: images.map((image) => image.toString('base64')) });
  return { type: 'application/json', body: Buffer.from(body) };
}

const large = heaviestJpeg();
const small = await drawImages({ count: 64, width: 32, height: 32, formats: ['png', 'jpeg'], seed: 1 });
const heavyForm = formOf(Array.from({ length: 6 }, () => large));
const heavyJson = jsonOf(Array.from({ length: 4 }, () => large));
const wideAnswer = jsonOf(small);

const limit = limitMemory(limitBytes);
const server = await startRealServer([], { env, through: limit.through });
const url = new URL(server.url);
const idle = memoryOfTree(server.pid);
const statuses = new Map<string, number>();
const until = performance.now() + 1000 * Number(values.seconds);
const count = (what: string): void => void statuses.set(what, (statuses.get(what) ?? 0) + 1);

/** One request after another until the time is over. */
async function post(what: string, path: string, { type, body }: ReturnType<typeof jsonOf>): Promise<void> {
  while (performance.now() < until) {
    try {
      const answer = await fetch(new URL(path, url), {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      await answer.arrayBuffer();
      count(`${what}: ${answer.status}`);
    } catch {
      count(`${what}: lost`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Asks, and reads no more than the head of what comes; where it was refused or cut off, again. */
async function readNothing(what: string, request: Buffer): Promise<void> {
  while (performance.now() < until) {
    await new Promise<void>((closed) => {
      const socket = connect(Number(url.port), url.hostname, () => socket.write(request));
      socket.on('error', () => undefined);
      socket.once('close', () => closed());
      socket.once('data', (head) => {
        const status = head.toString('latin1', 9, 12);
        count(`${what}: ${status}`);
        if (status === '200') socket.pause();
        else socket.destroy();
      });
      setTimeout(() => socket.destroy(), until - performance.now()).unref();
    });
  }
}

function requestOf(path: string, { type, body }: ReturnType<typeof jsonOf>): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

const most = '?k=100&neighbours=100';
const metrics = Buffer.from(`GET /metrics HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`.repeat(15));
const clients = [
  ...Array.from({ length: 6 }, () => post('forms of 59 MB', '/embed', heavyForm)),
  ...Array.from({ length: 4 }, () => post('JSON of 53 MB', '/embed', heavyJson)),
  ...Array.from({ length: 16 }, () => post('64 small images', '/classify', wideAnswer)),
  ...Array.from({ length: 100 }, () =>
    readNothing('answers that nobody reads', requestOf(`/classify${most}`, wideAnswer)),
  ),
  ...Array.from({ length: 200 }, () => readNothing('metrics that nobody reads', metrics)),
];
// A reload in the middle holds the index twice.
setTimeout(() => process.kill(server.pid, 'SIGHUP'), 500 * Number(values.seconds)).unref();
await Promise.all(clients);

const busy = memoryOfTree(server.pid);
const healthy = await fetch(new URL('/healthz', url)).then(
  ({ status }) => status === 200,
  () => false,
);
const restarts = await fetch(new URL('/metrics', url)).then(
  async (answer) => {
    const lines = (await answer.text())
      .split('\n')
      .filter((line) => line.startsWith('nearvote_worker_restarts_total'));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  },
  () => NaN,
);
const [peak, kills] = [limit.peakBytes(), limit.kills()];
await server.stop();
await limit.remove();

const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
const sum = (processes: readonly { readonly rssBytes: number }[]): number =>
  processes.reduce((total, { rssBytes }) => total + rssBytes, 0);
console.log(`${machine()}. ${values.seconds} s, limit ${mb(limitBytes)} MB, ${JSON.stringify(env)}\n`);
console.log(
  markdownTable(
    ['process', 'RSS at the end, MB', 'peak RSS, MB'],
    busy.map(({ file, rssBytes, peakRssBytes }) => [file, mb(rssBytes), mb(peakRssBytes)]),
  ),
);
console.log(
  `\n${[...statuses]
    .map(([what, times]) => `${what} ${times} times`)
    .sort()
    .join('; ')}`,
);
const fits = kills === 0 && healthy && restarts === 0 && peak < 0.95 * limitBytes;
console.log(
  `\nIdle ${mb(sum(idle))} MB; at most ${mb(peak)} MB of ${mb(limitBytes)} (${((100 * peak) / limitBytes).toFixed(0)} %) with the page cache; ` +
    `${kills} processes ended by the kernel, ${restarts} replaced, ${healthy ? 'healthy' : 'not healthy'} at the end`,
);
console.log(`Bar: below 95 %, none ended: ${fits ? 'reached' : 'missed'}`);
process.exitCode = fits ? 0 : 1;
