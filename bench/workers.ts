/* How cores are split: images/s through the pool.  npm run build && npx tsx bench/workers.ts [ENCODER_FOLDER] */
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../src/domain/markdown-table.js';
import { readEncoderManifest } from '../src/encoder/load.js';
import { createEncoderPool } from '../src/encoder/pool/pool.js';

const rounds = 3;
const forMs = 2_000;
const waits = [1, 2, 8, 32, 64];

const [, , folder = fileURLToPath(new URL('../models/cifar10-wide-int8', import.meta.url))] = process.argv;
const manifest = await readEncoderManifest(folder);
const size = manifest.input.width * manifest.input.height * 3;
const image = Uint8Array.from({ length: size }, (_, i) => Math.imul(i, 2654435761) >>> 13);

interface Setting {
  readonly workers: number;
  readonly threads: number;
  /** Whether a lone image gets every core. */
  readonly wide: boolean;
  readonly maxBatch: number;
}

/** Keeps `waiting` images in the pool for a while; images/s at each of these numbers. */
async function ratesOf(setting: Setting): Promise<number[]> {
  const pool = await createEncoderPool({ encoderDir: folder, manifest, maxQueue: 256, ...setting });
  const rates: number[] = [];
  for (const waiting of waits) {
    let done = 0;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: waiting }, async () => {
        for (; performance.now() - started < forMs; done++) await pool.embed(image);
      }),
    );
    rates.push((1_000 * done) / (performance.now() - started));
  }
  await pool.close();
  return rates;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const settings: Setting[] = [
  { workers: 2, threads: 1, wide: true, maxBatch: 16 },
  { workers: 2, threads: 1, wide: true, maxBatch: 4 },
  { workers: 2, threads: 1, wide: true, maxBatch: 1 },
  { workers: 2, threads: 1, wide: false, maxBatch: 16 },
  { workers: 1, threads: 2, wide: false, maxBatch: 4 },
  { workers: 1, threads: 2, wide: false, maxBatch: 16 },
];
const measured = settings.map((): number[][] => []);
for (let round = 0; round < rounds; round++) {
  for (const [i, setting] of settings.entries()) measured[i]?.push(await ratesOf(setting));
}
console.log(`images/s, median of ${rounds} rounds of ${forMs / 1_000} s, ${manifest.name}`);
console.log(
  markdownTable(
    [
      'workers x threads',
      'a lone image on every core',
      'largest batch',
      ...waits.map((waiting) => `${waiting} waiting`),
    ],
    settings.map(({ workers, threads, wide, maxBatch }, i) => [
      `${workers} x ${threads}`,
      wide ? 'yes' : 'no',
      String(maxBatch),
      ...waits.map((_, w) => median((measured[i] ?? []).map((rates) => rates[w] ?? NaN)).toFixed(0)),
    ]),
  ),
);
