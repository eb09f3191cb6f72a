/*
 * What a calibration of the shipped index is worth on images it has not seen, and photos of textures as unknowns.
 *   npx tsx bench/calibration.ts [CIFAR_FOLDER] [TEXTURES_FOLDER]
 */
import { fileURLToPath } from 'node:url';
import { sampleRows } from '../src/domain/seeded-random.js';
import { fitCalibration } from '../src/calibrate/fit-calibration.js';
import {
  candidateKs,
  candidateTemperatures,
  votesOf,
  type Neighbourhoods,
  type Voted,
} from '../src/calibrate/fit-vote.js';
import type { Embeddings } from '../src/domain/embeddings.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { seededRandom } from '../src/domain/seeded-random.js';
import { bootstrapMean } from '../src/evaluate/metrics/bootstrap.js';
import { brierScore, figuresOf, type ConfidenceFigures } from '../src/evaluate/metrics/confidence.js';
import { auroc } from '../src/evaluate/metrics/detection.js';
import { openIndex } from '../src/examples/index-store.js';
import { openSearcher } from '../src/neighbours/open-searcher.js';
import type { Calibration, VoteSettings } from '../src/vote/calibration.js';
import { confidenceOf } from '../src/vote/confidence.js';
import { defaultVote } from '../src/vote/rules.js';
import { pValueOf, unknownRules, type UnknownRule } from '../src/vote/unknown.js';
import { embedAll } from './embed-all.js';
import { median } from './figures.js';

const [, , cifar = '../shared/data/cifar10', textures = '../shared/data/textures'] = process.argv;
const root = fileURLToPath(new URL('..', import.meta.url));
const encoderDir = `${root}/models/cifar10-compact`;
const [half, rounds, epsilon] = [5_000, 20, 0.05];
const unknownKs = [1, 5, 10, 20, 50, 100, 200];

const index = await openIndex(`${root}/index/cifar10`);
const { examples } = index;
// Searched once, at the largest k; `nearvote calibrate` searches at each k as the server does.
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
  return { truths: labels, found, examples };
}

const known = await neighbourhoods(cifar);
const unknown = await neighbourhoods(textures);
await searcher.close();

function part({ truths, found, examples: all }: Neighbourhoods, images: readonly number[]): Neighbourhoods {
  const { k } = found;
  const rows = images.flatMap((image) => Array.from(found.rows.subarray(image * k, (image + 1) * k)));
  const near = images.flatMap((image) => Array.from(found.similarities.subarray(image * k, (image + 1) * k)));
  return {
    truths: images.map((image) => truths[image] ?? ''),
    found: { count: images.length, k, rows: Int32Array.from(rows), similarities: Float32Array.from(near) },
    examples: all,
  };
}

const settings: VoteSettings = { ...defaultVote, priorCorrection: false };
const allOf = ({ truths }: Neighbourhoods): number[] => Array.from(truths.keys());
const votes = (hoods: Neighbourhoods, by: VoteSettings): Voted[] =>
  votesOf(hoods, { images: allOf(hoods), settings: by });

function isUnknown({ unknown: test }: Calibration, { familiarity }: Voted): boolean {
  return pValueOf(test, familiarity[test.rule]) < epsilon;
}

interface Round {
  readonly calibration: Calibration;
  readonly before: ConfidenceFigures & { readonly allLabels: number };
  readonly after: ConfidenceFigures & { readonly allLabels: number };
  /** Labels that the fitted k and T change, and labels that the confidence map would. */
  readonly relabelled: number;
  readonly overturned: number;
  readonly rejectedKnown: number;
  readonly rejectedTextures: readonly boolean[];
}

interface RoundOptions {
  readonly seed: number;
  readonly rule: UnknownRule;
  /** Keep k and T as they are without a calibration. */
  readonly keepVote?: boolean;
}

async function runRound({ seed, rule, keepVote = false }: RoundOptions): Promise<Round> {
  const order = Array.from(sampleRows({ size: known.truths.length, count: known.truths.length, seed }));
  const fitOn = part(known, order.slice(0, half));
  const heldOut = part(known, order.slice(half));
  const { calibration } = await fitCalibration(() => Promise.resolve(fitOn), {
    settings,
    ks: keepVote ? [settings.k] : candidateKs,
    temperatures: keepVote ? [settings.temperature] : candidateTemperatures,
    unknownRule: rule,
    epsilon,
    seed,
  });
  const before = votes(heldOut, settings);
  const after = votes(heldOut, calibration.vote);
  const figures = (voted: readonly Voted[], confidence: (share: number) => number): Round['before'] => ({
    ...figuresOf(voted.map(({ share, correct }) => ({ confidence: confidence(share), correct }))),
    allLabels: brierScore(voted),
  });
  return {
    calibration,
    before: figures(before, (share) => share),
    after: figures(after, (share) => confidenceOf(calibration.confidence, share)),
    relabelled: after.filter(({ label }, i) => label !== before[i]?.label).length,
    overturned: after.filter(({ share, scores }) => {
      const confidence = confidenceOf(calibration.confidence, share);
      return scores.some(({ score }) => confidenceOf(calibration.confidence, score) > confidence);
    }).length,
    rejectedKnown: after.filter((voted) => isUnknown(calibration, voted)).length / after.length,
    rejectedTextures: votes(unknown, calibration.vote).map((voted) => isUnknown(calibration, voted)),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const first = await runRound({ seed: 1, rule: 'similarity' });
const kept = await runRound({ seed: 1, rule: 'similarity', keepVote: true });
const { rule, k, temperature } = first.calibration.vote;
console.log(
  `calibrated on ${half} CIFAR-10 test images (seed 1), measured on the other ${known.truths.length - half}: ` +
    `${rule} vote, k = ${k}, T = ${temperature}, ${first.calibration.confidence.kind} map\n`,
);
const figureRows: [string, (figures: Round['before']) => string][] = [
  ['accuracy', ({ accuracy }) => percent(accuracy)],
  ['ECE, 15 bins', ({ ece }) => ece.toFixed(4)],
  ['NLL of the confidence', ({ nll }) => nll.toFixed(4)],
  ['Brier score of the confidence', ({ brier }) => brier.toFixed(4)],
  ['Brier score over all labels', ({ allLabels }) => allLabels.toFixed(4)],
  ['AUROC of confidence, right against wrong', ({ auroc: area }) => (area ?? NaN).toFixed(4)],
];
console.log(
  markdownTable(
    ['', 'before', 'calibrated', `calibrated, --k ${settings.k} --temperature ${settings.temperature}`],
    [
      ...figureRows.map(([name, of]) => [name, of(first.before), of(first.after), of(kept.after)]),
      ['labels changed by the confidence map', '', first.overturned, kept.overturned],
      ['labels changed by the fitted k and T', '', first.relabelled, kept.relabelled],
    ],
  ),
);
console.log('');

const rows: (string | number)[][] = [];
for (const each of unknownRules) {
  const all: Round[] = [];
  for (let seed = 1; seed <= rounds; seed++) all.push(await runRound({ seed, rule: each }));
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
  const eces = all.map(({ after }) => after.ece);
  console.log(
    `over ${rounds} random halves: ECE ${mean(all.map(({ before }) => before.ece)).toFixed(4)} before, ${mean(eces).toFixed(4)} after ` +
      `(${Math.min(...eces).toFixed(4)} to ${Math.max(...eces).toFixed(4)}); accuracy ` +
      `${percent(mean(all.map(({ before }) => before.accuracy)))} before, ${percent(mean(all.map(({ after }) => after.accuracy)))} after\n`,
  );
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
  votes(hoods, { ...settings, k: at }).map(({ familiarity }) => familiarity[by]);
const areaOf = (at: number, by: UnknownRule): string =>
  auroc({ known: familiarities(known, at, by), unknown: familiarities(unknown, at, by) }).toFixed(4);
console.log(
  markdownTable(
    ['k', 'similarity to the k-th neighbour', 'top share of the vote'],
    unknownKs.map((at) => [at, areaOf(at, 'similarity'), areaOf(at, 'vote')]),
  ),
);
