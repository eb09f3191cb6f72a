/*
 * What training on one's own photos is worth: configs/adapter.yml (an adapter behind a frozen encoder) or
 * configs/photos.yml (an encoder from scratch), trained as the command does it with several seeds, against the encoder
 * alone, by the vote of the nearest training photos on photos that nothing has seen.
 *   npm run build && npx tsx bench/photos.ts adapter|photos [CLOTHING_FOLDER] [ENCODER_FOLDER] [CONFIG]
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { markdownTable } from '../src/domain/markdown-table.js';
import { seededRandom } from '../src/domain/seeded-random.js';
import { answersOf } from '../src/evaluate/measure-accuracy.js';
import { bootstrap, drawAgain, type Interval } from '../src/evaluate/metrics/intervals.js';
import { disagreement, mcnemar } from '../src/evaluate/metrics/mcnemar.js';
import { createExactSearcher } from '../src/neighbours/exact.js';
import { embedAll } from './embed-all.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const [, , kind = 'adapter', clothing = '../shared/data/clothing', encoder, configFile] = process.argv;
if (kind !== 'adapter' && kind !== 'photos')
  throw new Error(`Expected adapter or photos but received ${kind}`);
const isAdapter = kind === 'adapter';
const photos = resolve(clothing);
const alreadyThere = resolve(encoder ?? join(root, 'models/cifar10-compact'));
const seeds = isAdapter ? [1, 2, 3, 4, 5] : [1, 2, 3];
const [k, temperature] = [20, 0.07];

/** Which validation photos were labelled right. */
interface Right {
  readonly vote: readonly boolean[];
  /** By the nearest alone. */
  readonly first: readonly boolean[];
}

async function rightOf(encoderDir: string): Promise<Right> {
  const known = await embedAll(encoderDir, join(photos, 'train'));
  const asked = await embedAll(encoderDir, join(photos, 'validation'));
  const examples = known.labels.map((label, row) => ({ id: String(row), label, source: '' }));
  const searcher = await createExactSearcher({ embeddings: known.embeddings, threads: 2 });
  const found = await searcher.search(asked.embeddings, k);
  await searcher.close();
  const rightAt = (at: number): boolean[] =>
    answersOf({ found, examples }, at, { rule: 'softmax', temperature }).map(
      ({ label }, i) => label === asked.labels[i],
    );
  return { vote: rightAt(k), first: rightAt(1) };
}

interface Trained extends Right {
  readonly seed: number;
  readonly seconds: number;
}

async function train(base: string, seed: number): Promise<Trained> {
  const text = await readFile(configFile ?? join(root, `configs/${kind}.yml`), 'utf8');
  const config = join(base, `seed-${seed}.yml`);
  const out = join(base, 'models', String(seed));
  await writeFile(config, text.replace(/^seed: .*$/m, `seed: ${seed}`));
  const started = performance.now();
  const args = [config, '--out', out, '--run', join(base, 'runs', String(seed)), '--json'];
  args.push(...(isAdapter ? ['--backbone', alreadyThere, '--threads', '2'] : ['--threads', '1']));
  const command = [join(root, 'dist/cli/main.js'), 'train', ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: base, maxBuffer: 1e8 });
  const seconds = (performance.now() - started) / 1000;
  console.log(`seed ${seed}: ${seconds.toFixed(1)} s ${stdout.trim()}`);
  return { seed, seconds, ...(await rightOf(out)) };
}

const share = (right: readonly boolean[]): number => right.filter(Boolean).length / right.length;
const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;
const points = ({ low, high }: Interval): string => `${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)}`;

/** Of the mean gain, photos and seeds drawn again: both could have been others. */
function gainInterval(alone: readonly boolean[], adapted: readonly (readonly boolean[])[]): Interval {
  const gains = adapted.map((right) => right.map((one, i) => Number(one) - Number(alone[i])));
  const random = seededRandom(1);
  const images = alone.map((_, i) => i);
  return bootstrap(
    () => {
      const drawnSeeds = drawAgain(gains, random);
      const drawn = drawAgain(images, random);
      const sum = drawn.reduce(
        (all, image) => all + drawnSeeds.reduce((own, gain) => own + (gain[image] ?? NaN), 0),
        0,
      );
      return sum / drawn.length / drawnSeeds.length;
    },
    { resamples: 5_000 },
  );
}

const base = await mkdtemp(join(tmpdir(), 'nearvote-photos-'));
try {
  await symlink(join(photos, 'train'), join(base, 'photos'));
  const alone = await rightOf(alreadyThere);
  const runs: Trained[] = [];
  if (isAdapter) for (const seed of seeds) runs.push(await train(base, seed));
  // A thread each: as many images a second as one after another on two threads.
  else runs.push(...(await Promise.all(seeds.map((seed) => train(base, seed)))));
  const rows = runs.map(({ seed, seconds, vote, first }) => {
    const { onlyFirstRight, onlySecondRight, exactP } = mcnemar(disagreement(vote, alone.vote));
    const test = `${onlyFirstRight} to ${onlySecondRight}, p = ${exactP.toPrecision(2)}`;
    return [`${kind}, seed ${seed}`, percent(share(vote)), percent(share(first)), test, seconds.toFixed(1)];
  });
  const mean = (of: (run: Trained) => number): number =>
    runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  console.log(
    markdownTable(
      [
        '',
        `vote, k = ${k}`,
        'precision@1',
        'only it right to only the encoder alone (vote), McNemar',
        'seconds',
      ],
      [
        ['encoder alone', percent(share(alone.vote)), percent(share(alone.first)), '', ''],
        ...rows,
        [
          `${kind}, mean`,
          percent(mean(({ vote }) => share(vote))),
          percent(mean(({ first }) => share(first))),
          '',
          mean(({ seconds }) => seconds).toFixed(1),
        ],
      ],
    ),
  );
  for (const which of ['vote', 'first'] as const) {
    const gain = mean((run) => share(run[which])) - share(alone[which]);
    const interval = gainInterval(
      alone[which],
      runs.map((run) => run[which]),
    );
    console.log(`${which}: ${(100 * gain).toFixed(2)} points, 95 % interval ${points(interval)}`);
  }
} finally {
  await rm(base, { recursive: true, force: true });
}
