/* One image at a time over HTTP against the encoder alone, and the time to ready.  npm run build && npx tsx bench/latency.ts */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { loadEncoder } from '../src/encoder/load.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { openRawConnection, rawPost } from './raw-connection.js';
import { startRealServer } from './real-server.js';

const rounds = 5;
const perRound = 400;
const encoderDir = fileURLToPath(new URL('../models/cifar10-wide-int8', import.meta.url));

let state = 7;
const noise = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
const images = await Promise.all(
  Array.from({ length: perRound }, async () => {
    const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, noise);
    const raw = { width: 32, height: 32, channels: 3 } as const;
    return { pixels, png: await sharp(pixels, { raw }).png().toBuffer() };
  }),
);

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? NaN;

async function time(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

/** From `npm start` to the ready line, in ms. */
async function npmStartMs(): Promise<number> {
  const started = performance.now();
  const npm = spawn('npm', ['start'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, NEARVOTE_PORT: '0', NEARVOTE_INDEX: 'index/cifar10' },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const ended = new Promise((resolve) => npm.once('exit', resolve));
  for await (const line of createInterface({ input: npm.stdout })) {
    if (!line.includes('http://')) continue;
    const elapsed = performance.now() - started;
    // npm passes no signal on: the whole group is told.
    process.kill(-(npm.pid ?? 0), 'SIGTERM');
    await ended;
    return elapsed;
  }
  throw new Error('npm start ended before it was ready');
}

const ready: number[] = [];
for (let i = 0; i < 5; i++) ready.push(await npmStartMs());

const server = await startRealServer();
const url = new URL('/classify', server.url);
const connection = openRawConnection(url);

function post(png: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.send(rawPost(url, 'image/png', png), (status) => {
      if (status === 200) resolve();
      else reject(new Error(`the image answered ${status}`));
    });
  });
}

const encoder = await loadEncoder(encoderDir, { threads: 1 });
const alone: number[] = [];
const served: number[] = [];
for (let round = 0; round <= rounds; round++) {
  const aloneNow: number[] = [];
  const servedNow: number[] = [];
  for (const { pixels } of images) aloneNow.push(await time(() => encoder.embed(pixels, 1)));
  for (const { png } of images) servedNow.push(await time(() => post(png)));
  // The first round warms both up.
  if (round === 0) continue;
  alone.push(percentile(aloneNow, 0.5));
  served.push(percentile(servedNow, 0.5));
}
await encoder.close();
connection.close();
await server.stop();

const a = percentile(alone, 0.5);
const b = percentile(served, 0.5);
console.log(`cifar10-wide-int8, 32 x 32 PNG, one at a time, median of ${rounds} rounds of ${perRound}`);
console.log(
  markdownTable(
    ['', 'ms'],
    [
      ['encoder alone at batch 1, 1 thread, p50', a.toFixed(2)],
      ['over HTTP, p50', b.toFixed(2)],
      ['difference', (b - a).toFixed(2)],
      ['npm start to ready, median of 5', percentile(ready, 0.5).toFixed(0)],
    ],
  ),
);
