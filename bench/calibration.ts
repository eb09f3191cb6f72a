/*
 * What a calibration of the shipped index is worth on images it has not seen, and photos of textures as unknowns.
 *   npx tsx bench/calibration.ts [CIFAR_FOLDER] [TEXTURES_FOLDER]
 */
import { fileURLToPath } from 'node:url';
import { sampleRows } from '../src/domain/seeded-random.js';
import {
  directionsOf,
  fitCalibration,
  votesOf,
  type Neighbourhoods,
} from '../src/calibrate/fit-calibration.js';
import { asEmbeddings, type Embeddings } from '../src/domain/embeddings.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { seededRandom } from '../src/domain/seeded-random.js';
import { eceNullBand } from '../src/evaluate/measure-confidence.js';
import { bootstrapMean } from '../src/evaluate/metrics/intervals.js';
import { figuresOf, type ConfidenceFigures, type Confident } from '../src/evaluate/metrics/confidence.js';
import { auroc } from '../src/evaluate/metrics/detection.js';
import { openIndex } from '../src/examples/index-store.js';
import { readEmbeddingsFile } from '../src/neighbours/embeddings-file.js';
import { openSearcher } from '../src/neighbours/open-searcher.js';
import type { Calibration, VoteSettings } from '../src/vote/calibration.js';
import { confidenceOf } from '../src/vote/confidence.js';
import { defaultVote } from '../src/vote/rules.js';
import { familiarityOf, pValueOf, unknownRules, type UnknownRule } from '../src/vote/unknown.js';
import { embedAll } from './embed-all.js';
import { median } from './figures.js';

const [, , cifar = '../shared/data/cifar10', textures = '../shared/data/textures'] = process.argv;
const root = fileURLToPath(new URL('..', import.meta.url));
const encoderDir = `${root}/models/cifar10-wide-int8`;
const [half, rounds, epsilon] = [5_000, 20, 0.05];
const unknownKs = [1, 5, 10, 20, 50, 100, 200];

const index = await openIndex(`${root}/index/cifar10`);
const { examples } = index;
const directions = directionsOf(
  examples,
  await readEmbeddingsFile({
    path: `${index.dir}/embeddings.f32`,
    count: examples.length,
    dimension: index.manifest.dimension,
  }),
);
// Searched once, at the largest k; `nearvote calibrate` searches at the served k as the server does.
const searcher = await openSearcher({ dir: index.dir, mode: 'auto', threads: 2 });

/** What a larger k costs: the median of five searches, in ms a query. */
async function searchCost(embeddings: Embeddings): Promise<string> {
  const costs: string[] = [];
  for (const at of [defaultVote.k, 100]) {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      await searcher.search(embeddings, at);
      times.push((performance.now() - started) / embeddings.count);
    }
    costs.push(`${median(times).toFixed(3)} at k = ${at}`);
  }
  return `${searcher.kind} search of ${embeddings.count} images, ms a query: ${costs.join(', ')}`;
}

async function neighbourhoods(folder: string): Promise<Neighbourhoods> {
  const { embeddings, labels } = await embedAll(encoderDir, folder);
  console.log(await searchCost(embeddings));
  const found = await searcher.search(embeddings, Math.max(...unknownKs));
  return { truths: labels, embeddings, found, examples };
}

const known = await neighbourhoods(cifar);
const unknown = await neighbourhoods(textures);
await searcher.close();

function part(
  { truths, embeddings, found, examples: all }: Neighbourhoods,
  images: readonly number[],
): Neighbourhoods {
  const { k } = found;
  const { dimension, values } = embeddings;
  const pick = (from: Float32Array, width: number): Float32Array => {
    const into = new Float32Array(images.length * width);
    for (const [i, image] of images.entries())
      into.set(from.subarray(image * width, (image + 1) * width), i * width);
    return into;
  };
  return {
    truths: images.map((image) => truths[image] ?? ''),
    embeddings: asEmbeddings(pick(values, dimension), dimension),
    found: {
      ...{ count: images.length, k },
      rows: Int32Array.from(
        images.flatMap((image) => Array.from(found.rows.subarray(image * k, (image + 1) * k))),
      ),
      similarities: pick(found.similarities, k),
    },
    examples: all,
  };
}

const settings: VoteSettings = { ...defaultVote, priorCorrection: false };
type Voted = ReturnType<typeof votesOf>[number];
const votes = (hoods: Neighbourhoods, by: VoteSettings): Voted[] =>
  votesOf(hoods, { settings: by, directions });

function isUnknown({ unknown: test }: Calibration, answer: Voted): boolean {
  return pValueOf(test, familiarityOf(test.rule, answer)) < epsilon;
}

interface Round {
  readonly calibration: Calibration;
  readonly before: ConfidenceFigures;
  readonly after: ConfidenceFigures;
  /** Of the calibrated confidences, to draw the null band from. */
  readonly answers: readonly Confident[];
  /** Labels that the calibration's vote changes. */
  readonly relabelled: number;
  readonly rejectedKnown: number;
  readonly rejectedTextures: readonly boolean[];
}

const strangers = votes(unknown, settings);

function runRound({ seed, rule }: { readonly seed: number; readonly rule: UnknownRule }): Round {
  const order = Array.from(sampleRows({ size: known.truths.length, count: known.truths.length, seed }));
  const fitOn = part(known, order.slice(0, half));
  const heldOut = part(known, order.slice(half));
  const { calibration } = fitCalibration(fitOn, { settings, directions, unknownRule: rule, epsilon, seed });
  const before = votes(heldOut, settings);
  const after = votes(heldOut, calibration.vote);
  const answers = after.map((voted) => ({
    confidence: confidenceOf(calibration.confidence, voted),
    correct: voted.correct,
  }));
  return {
    calibration,
    before: figuresOf(before.map(({ share, correct }) => ({ confidence: share, correct }))),
    after: figuresOf(answers),
    answers,
    relabelled: after.filter(({ label }, i) => label !== before[i]?.label).length,
    rejectedKnown: after.filter((voted) => isUnknown(calibration, voted)).length / after.length,
    rejectedTextures: strangers.map((voted) => isUnknown(calibration, voted)),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const first = runRound({ seed: 1, rule: 'similarity' });
console.log(
  `calibrated on ${half} CIFAR-10 test images (seed 1), measured on the other ${known.truths.length - half}: ` +
    `${settings.rule} vote, k = ${settings.k}, T = ${settings.temperature}, ${first.calibration.confidence.kind} map\n`,
);
const figureRows: [string, (figures: Round['before']) => string][] = [
  ['accuracy', ({ accuracy }) => percent(accuracy)],
  ['ECE, 15 bins', ({ ece }) => ece.toFixed(4)],
  ['NLL of the confidence', ({ nll }) => nll.toFixed(4)],
  ['Brier score of the confidence', ({ brier }) => brier.toFixed(4)],
  ['AUROC of confidence, right against wrong', ({ auroc: area }) => (area ?? NaN).toFixed(4)],
];
console.log(
  markdownTable(
    ['', 'share of the vote', 'calibrated'],
    [
      ...figureRows.map(([name, of]) => [name, of(first.before), of(first.after)]),
      ['labels changed', '', first.relabelled],
    ],
  ),
);
console.log('');

const rows: (string | number)[][] = [];
for (const each of unknownRules) {
  const all: Round[] = [];
  for (let seed = 1; seed <= rounds; seed++) all.push(runRound({ seed, rule: each }));
  const shares = all.map(({ rejectedKnown }) => rejectedKnown);
  // Of each texture, the share of the rounds that rejected it: the interval is over textures.
  const perTexture = unknown.truths.map((_, i) => mean(all.map(({ rejectedTextures: r }) => (r[i] ? 1 : 0))));
  const { low, high } = bootstrapMean(perTexture, { random: seededRandom(1) });
  rows.push([
    each,
    percent(mean(shares)),
    `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`,
    `${percent(mean(perTexture))} (${percent(low)} to ${percent(high)})`,
  ]);
  if (each !== 'similarity') continue;
  const range = (of: (round: Round) => number, digits = 4): string => {
    const values = all.map(of);
    return `${mean(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`;
  };
  const bands = all.map(({ answers }, i) => eceNullBand(answers, i));
  const inside = all.filter(({ after }, i) => after.ece <= (bands[i]?.high ?? NaN)).length;
  const [ece, bandHigh] = [mean(all.map(({ after }) => after.ece)), mean(bands.map((band) => band.high))];
  const area = mean(all.map(({ after }) => after.auroc ?? NaN));
  const changed = all.reduce((sum, { relabelled }) => sum + relabelled, 0);
  console.log(`over ${rounds} random halves, mean (least to most)\n`);
  console.log(
    markdownTable(
      ['', 'share of the vote', 'calibrated', 'bar'],
      [
        ['labels changed, all halves together', '', changed, `0: ${changed === 0 ? 'met' : 'missed'}`],
        [
          'AUROC, right against wrong',
          range(({ before }) => before.auroc ?? NaN),
          range(({ after }) => after.auroc ?? NaN),
          `>= 0.90: ${area >= 0.9 ? 'met' : 'missed'}`,
        ],
        [
          'ECE, 15 bins',
          range(({ before }) => before.ece),
          range(({ after }) => after.ece),
          `mean inside the null band: ${ece <= bandHigh ? 'met' : 'missed'}`,
        ],
        [
          'ECE of a perfect confidence, 95 %',
          '',
          `${mean(bands.map(({ low }) => low)).toFixed(4)} to ${bandHigh.toFixed(4)}; ${inside} of ${rounds} halves inside`,
          '',
        ],
        ['NLL', range(({ before }) => before.nll), range(({ after }) => after.nll), ''],
        ['Brier score', range(({ before }) => before.brier), range(({ after }) => after.brier), ''],
      ],
    ),
  );
  console.log('');
}
console.log(`unknown where p < ${epsilon}, over the same ${rounds} halves (seeds 1 to ${rounds})\n`);
console.log(
  markdownTable(
    ['rule', 'known images rejected', 'least to most', 'textures rejected (95 % interval)'],
    rows,
  ),
);
console.log('\nAUROC of the CIFAR-10 test images against the textures, by rule\n');
const familiarities = (hoods: Neighbourhoods, at: number, by: UnknownRule): number[] =>
  votes(hoods, { ...settings, k: at }).map((voted) => familiarityOf(by, voted));
const areaOf = (at: number, by: UnknownRule): string =>
  auroc({ known: familiarities(known, at, by), unknown: familiarities(unknown, at, by) }).toFixed(4);
console.log(
  markdownTable(
    ['k', 'similarity to the k-th neighbour', 'top share of the vote'],
    unknownKs.map((at) => [at, areaOf(at, 'similarity'), areaOf(at, 'vote')]),
  ),
);
