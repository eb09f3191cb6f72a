/*
 * Wrong labels planted in an index of 5,000 CIFAR-10 test images, which the encoder has never seen: what audit makes of
 * them, over five seeds.  npx tsx bench/audit.ts [CIFAR_FOLDER] [PLANTED, 250]
 */
import { auditIndex } from '../src/audit/audit-index.js';
import { ballotsOf, vote } from '../src/vote/vote.js';
import { numberLabels } from '../src/audit/labelling.js';
import { classDirections } from '../src/audit/mislabelled.js';
import { searchOthers } from '../src/audit/search-others.js';
import { sampleRows } from '../src/domain/seeded-random.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { auroc } from '../src/evaluate/metrics/detection.js';
import { queriesOf } from '../src/neighbours/recall.js';
import { defaultVote } from '../src/vote/rules.js';
import { seededRandom } from './drawn-images.js';
import { embedCifar } from './embed-cifar.js';

const [, , folder = '../shared/data/cifar10', planted = '250'] = process.argv;
const seeds = [0, 1, 2, 3, 4];
const size = 5_000;
const flips = Number(planted);
/** Mistakes that people make: a label that looks alike. */
const lookAlike: Readonly<Record<string, string>> = {
  ...{ cat: 'dog', dog: 'cat', truck: 'automobile', automobile: 'truck', deer: 'horse', horse: 'deer' },
  ...{ bird: 'airplane', airplane: 'ship', ship: 'airplane', frog: 'cat' },
};

const quiet = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const { labels: allLabels, embeddings: all } = await embedCifar(folder, 'test');
const tenNames = [...new Set(allLabels)].sort();

const kinds = {
  random: 'Labels changed to any other',
  alike: 'Labels changed to one that looks alike',
  joined: 'The ten labels joined into three, which have several shapes each, and changed to any other',
} as const;
type Kind = keyof typeof kinds;

interface Ranked {
  readonly precision: number;
  readonly auroc: number;
}

interface Measured {
  readonly ranked: ReadonlyMap<string, Ranked>;
  readonly findings: number;
  readonly precision: number;
  readonly recall: number;
  readonly corrected: number;
  readonly dropped: number;
  readonly changed: number;
}

async function measure(seed: number, kind: Kind): Promise<Measured> {
  const labelOf = (row: number): string => {
    const label = allLabels[row] ?? '';
    return kind === 'joined' ? `group ${tenNames.indexOf(label) % 3}` : label;
  };
  const names = [
    ...new Set(tenNames.map((_, i) => (kind === 'joined' ? `group ${i % 3}` : (tenNames[i] ?? '')))),
  ];
  const rows = sampleRows({ size: allLabels.length, count: 2 * size, seed });
  const indexed = rows.subarray(0, size);
  const truths = Array.from(indexed, labelOf);
  const random = seededRandom(seed + 1);
  const given = [...truths];
  for (const row of sampleRows({ size, count: flips, seed: seed + 100 })) {
    const truth = truths[row] ?? '';
    const shift = 1 + Math.floor(random() * (names.length - 1));
    const other = names[(names.indexOf(truth) + shift) % names.length] ?? '';
    given[row] = kind === 'alike' ? (lookAlike[truth] ?? '') : other;
  }
  const embeddings = queriesOf(all, indexed);
  const held = rows.subarray(size);
  const examples = given.map((label, row) => ({ id: String(row), label, source: '' }));
  const audit = await auditIndex({
    name: 'cifar10-test',
    examples,
    embeddings,
    ...{ k: defaultVote.k, vote: defaultVote, seed, threads: 2, progress: quiet },
    test: {
      name: 'the other 5,000',
      images: Array.from(held, (row) => ({ id: String(row), label: labelOf(row) })),
      embeddings: queriesOf(all, held),
    },
  });
  const isWrong = (row: number): boolean => given[row] !== truths[row];

  const rank = (scores: readonly number[]): Ranked => {
    const order = scores
      .map((score, row) => ({ score, row }))
      .sort((a, b) => b.score - a.score || a.row - b.row);
    return {
      precision: order.slice(0, flips).filter(({ row }) => isWrong(row)).length / flips,
      auroc: auroc({
        known: scores.filter((_, row) => isWrong(row)),
        unknown: scores.filter((_, row) => !isWrong(row)),
      }),
    };
  };
  const labelling = numberLabels(given);
  const trusted = given.map((label, row) => audit.predicted[row] === label);
  const directions = classDirections({ embeddings, labelling, trusted });
  const cosines = new Float64Array(names.length);
  const margins = given.map((label, row) => {
    directions.cosines(row, cosines);
    const own = names.indexOf(label);
    return Math.max(...cosines.filter((_, other) => other !== own)) - (cosines[own] ?? NaN);
  });
  const { suspicions, mislabelled, condensed } = audit;
  const votesOf = async (among: Int32Array | undefined): Promise<(string | undefined)[]> => {
    const queries = queriesOf(all, held);
    const { k } = defaultVote;
    const found = await searchOthers({ embeddings, queries, among, k, threads: 2, progress: quiet });
    return Array.from(
      held,
      (_, query) => vote(ballotsOf({ found, examples }, query, k), defaultVote)[0]?.label,
    );
  };
  const [whole, left] = [await votesOf(undefined), await votesOf(condensed.kept)];
  const right = mislabelled.filter(({ row }) => isWrong(row));
  return {
    ranked: new Map([
      ['vote alone: 1 - own share', rank(suspicions.map(({ ownShare }) => 1 - ownShare))],
      ['vote alone: other share - own', rank(suspicions.map((one) => one.suggestedShare - one.ownShare))],
      ['directions of the trusted alone', rank(margins)],
      ['both, as audit ranks', rank(suspicions.map(({ score }) => score))],
    ]),
    findings: mislabelled.length,
    precision: right.length / mislabelled.length,
    recall: right.length / flips,
    corrected: right.filter(({ row, suggested }) => suggested === truths[row]).length / right.length,
    dropped: condensed.dropped.length,
    changed: whole.filter((label, query) => label !== left[query]).length,
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const range = (values: readonly number[], digits: number): string =>
  `${mean(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`;

console.log(`## Audit

\`npx tsx bench/audit.ts\`. ${size} CIFAR-10 test images chosen by seed, ${flips} of their labels changed, seeds ${seeds.join(', ')}; encoder
cifar10-compact, k = ${defaultVote.k}, softmax vote. Mean (least to most).
`);
for (const [kind, title] of Object.entries(kinds) as [Kind, string][]) {
  const measured: Measured[] = [];
  for (const seed of seeds) measured.push(await measure(seed, kind));
  const methods = [...(measured[0]?.ranked.keys() ?? [])];
  const of = (method: string, figure: keyof Ranked): number[] =>
    measured.map(({ ranked }) => ranked.get(method)?.[figure] ?? NaN);
  console.log(`${title}:
`);
  console.log(
    markdownTable(
      ['ranked by', `precision at ${flips}`, 'AUROC'],
      methods.map((method) => [method, range(of(method, 'precision'), 3), range(of(method, 'auroc'), 4)]),
    ),
  );
  console.log();
  console.log(
    markdownTable(
      ['reported as likely mislabelled', 'precision', 'recall', 'given the true label'],
      [
        [
          range(
            measured.map(({ findings }) => findings),
            0,
          ),
          range(
            measured.map(({ precision }) => precision),
            3,
          ),
          range(
            measured.map(({ recall }) => recall),
            3,
          ),
          range(
            measured.map(({ corrected }) => corrected),
            3,
          ),
        ],
      ],
    ),
  );
  const dropped = range(
    measured.map((one) => one.dropped),
    0,
  );
  const changed = measured.reduce((sum, one) => sum + one.changed, 0);
  console.log(
    `
Condensing against the other 5,000 images: ${dropped} of ${size} examples could be dropped; votes changed without them, all seeds together: ${changed}.
`,
  );
}
