/* Where workers live and how cores are split: images/s through the pool.  npm run build && npx tsx bench/workers.ts */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { WorkerKind } from '../src/inference/channel.js';
import { createInferencePool } from '../src/inference/pool.js';
import { markdownTable } from '../src/domain/markdown-table.js';

const rounds = 3;
const imagesPerRound = 2_000;
const size = 32 * 32 * 3;

const local = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const pixels = Uint8Array.from({ length: 1_000 * size }, (_, i) => (i * 2654435761) >>> 13);
const image = (i: number): Uint8Array => pixels.subarray((i % 1_000) * size, ((i % 1_000) + 1) * size);

interface Setting {
  readonly kind: WorkerKind;
  readonly workers: number;
  readonly threads: number;
  readonly maxBatch: number;
}

/** Keeps `waiting` images in the pool until all are done; images/s. */
async function rateOf(setting: Setting, waiting: number): Promise<number> {
  const pool = await createInferencePool({
    workerFile: new URL('../dist/inference/worker.js', import.meta.url),
    setup: {
      encoderDir: local('models/cifar10-compact'),
      indexDir: undefined,
      threads: setting.threads,
      search: 'auto',
    },
    maxQueue: waiting,
    ...setting,
  });
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: waiting }, async () => {
      while (next < imagesPerRound) await pool.infer(image(next++), { k: 0, withEmbedding: true });
    }),
  );
  return imagesPerRound / ((performance.now() - started) / 1_000);
}

/** Each in a process of its own: ending a thread that holds a session of ONNX Runtime aborts the process. */
function rateInChild(setting: Setting, waiting: number): number {
  const argument = JSON.stringify({ setting, waiting });
  const { stdout } = spawnSync(process.execPath, [...process.execArgv, local('bench/workers.ts'), argument]);
  return Number(stdout.toString());
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

function compare(): void {
  const settings: Setting[] = (['process', 'thread'] as const).flatMap((kind) =>
    [
      { workers: 1, threads: 2 },
      { workers: 2, threads: 1 },
      { workers: 2, threads: 2 },
    ].map((split) => ({ kind, ...split, maxBatch: 32 })),
  );
  const waits = [1, 32];
  const rates = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const setting of settings) {
      for (const waiting of waits) {
        const key = `${JSON.stringify(setting)} ${waiting}`;
        rates.set(key, [...(rates.get(key) ?? []), rateInChild(setting, waiting)]);
      }
    }
  }
  console.log(`images/s, median of ${rounds} rounds of ${imagesPerRound} images, cifar10-compact, no search`);
  console.log(
    markdownTable(
      ['workers', 'workers x threads', ...waits.map((waiting) => `${waiting} waiting`)],
      settings.map((setting) => [
        setting.kind,
        `${setting.workers} x ${setting.threads}`,
        ...waits.map((waiting) =>
          median(rates.get(`${JSON.stringify(setting)} ${waiting}`) ?? []).toFixed(0),
        ),
      ]),
    ),
  );
}

const [, , asked] = process.argv;
if (asked === undefined) {
  compare();
} else {
  const { setting, waiting } = JSON.parse(asked) as { setting: Setting; waiting: number };
  const rate = await rateOf(setting, waiting);
  process.stdout.write(String(rate), () => process.kill(process.pid, 'SIGKILL'));
}
