/*
 * Wrong labels planted in an index, and what audit makes of them: 5,000 CIFAR-10 test images, which the encoder has never
 * seen, over five seeds; and the photos of clothes, with each encoder that is named.
 *   npx tsx bench/audit.ts [CIFAR_FOLDER] [CLOTHING_FOLDER] [ENCODER_FOLDER ...]
 */
import { basename } from 'node:path';
import { searchOthers } from '../src/audit/search-others.js';
import { numberLabels } from '../src/audit/labelling.js';
import { mislabelled, mostSuspicious, suspicions } from '../src/audit/mislabelled.js';
import { auditIndex } from '../src/audit/audit-index.js';
import type { Embeddings } from '../src/domain/embeddings.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { sampleRows, seededRandom } from '../src/domain/seeded-random.js';
import { auroc } from '../src/evaluate/metrics/detection.js';
import { queriesOf } from '../src/neighbours/recall.js';
import { ballotsOf, vote } from '../src/vote/vote.js';
import { defaultVote } from '../src/vote/rules.js';
import { embedAll } from './embed-all.js';
import { embedCifar } from './embed-cifar.js';

const [cifar = '../shared/data/cifar10', clothing = '../shared/data/clothing', ...encoders] =
  process.argv.slice(2);
const seeds = [0, 1, 2, 3, 4];
const size = 5_000;
/** Mistakes that people make: a label that looks alike. */
const lookAlike: Readonly<Record<string, string>> = {
  ...{ cat: 'dog', dog: 'cat', truck: 'automobile', automobile: 'truck', deer: 'horse', horse: 'deer' },
  ...{ bird: 'airplane', airplane: 'ship', ship: 'airplane', frog: 'cat' },
  ...{ shirt: 'longsleeve', longsleeve: 'shirt', 't-shirt': 'shirt', dress: 'skirt', skirt: 'dress' },
  ...{ pants: 'shorts', shorts: 'pants', outwear: 'longsleeve', hat: 'shoes', shoes: 'hat' },
};
const kinds = {
  random: 'any other',
  alike: 'one that looks alike',
  joined: 'any other, ten labels joined into three',
};
type Kind = keyof typeof kinds;

const quiet = { start: () => undefined, advance: () => undefined, finish: () => undefined };

interface Labelled {
  readonly embeddings: Embeddings;
  readonly labels: readonly string[];
}

interface Measured {
  readonly planted: number;
  /** Precision among the first, as many as were planted. */
  readonly ranked: number;
  readonly auroc: number;
  readonly flagged: number;
  readonly precision: number;
  readonly recall: number;
  /** Of the planted that were flagged, how many were given the true label. */
  readonly corrected: number;
}

interface Plant {
  readonly kind: Kind;
  /** Of all labels. */
  readonly share: number;
  readonly seed: number;
}

function measure({ embeddings, labels }: Labelled, { kind, share, seed }: Plant): Measured {
  const ten = [...new Set(labels)].sort();
  const truths = kind === 'joined' ? labels.map((label) => `group ${ten.indexOf(label) % 3}`) : labels;
  const names = [...new Set(truths)].sort();
  const given = [...truths];
  const planted = Math.round(labels.length * share);
  const random = seededRandom(seed + 1);
  for (const row of sampleRows({ size: labels.length, count: planted, seed: seed + 100 })) {
    const truth = truths[row] ?? '';
    const shift = 1 + Math.floor(random() * (names.length - 1));
    const other = names[(names.indexOf(truth) + shift) % names.length] ?? '';
    given[row] = kind === 'alike' ? (lookAlike[truth] ?? '') : other;
  }
  // The vote is shown beside a suspicion, and has no part in it.
  const votes = given.map(() => []);
  const all = suspicions({ embeddings, labelling: numberLabels(given), votes });
  const flagged = mislabelled(all);
  const isWrong = ({ row }: { readonly row: number }): boolean => given[row] !== truths[row];
  const order = mostSuspicious(all);
  const right = flagged.filter(isWrong);
  return {
    planted,
    ranked: order.slice(0, planted).filter(isWrong).length / planted,
    auroc: auroc({
      known: all.filter(isWrong).map(({ score }) => score),
      unknown: all.filter((one) => !isWrong(one)).map(({ score }) => score),
    }),
    flagged: flagged.length,
    precision: right.length / flagged.length,
    recall: right.length / planted,
    corrected: right.filter(({ row, suggested }) => suggested === truths[row]).length / right.length,
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
function range(values: readonly number[], digits: number): string {
  if (values.some(Number.isNaN)) return '-';
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${mean(values).toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}

const header = [
  'changed to',
  'planted',
  'precision at planted',
  'AUROC',
  'flagged',
  'precision',
  'recall',
  'true label',
];

/** Every kind and share over the seeds, as a table, and what came of one of them. */
function table(of: (seed: number) => Labelled, shares: readonly number[]) {
  const rows: string[][] = [];
  const measured = new Map<string, readonly Measured[]>();
  for (const share of shares) {
    for (const kind of Object.keys(kinds) as Kind[]) {
      // Without a change a look-alike is what any other is.
      if (share === 0 && kind === 'alike') continue;
      const found: Measured[] = [];
      for (const seed of seeds) found.push(measure(of(seed), { kind, share, seed }));
      console.error(
        `${kind} ${share}: ${JSON.stringify(found.map(({ precision, recall }) => [precision, recall]))}`,
      );
      measured.set(`${kind} ${share}`, found);
      const column = (figure: keyof Measured, digits: number): string =>
        range(
          found.map((one) => one[figure]),
          digits,
        );
      rows.push([
        ...[
          kinds[kind],
          String(found[0]?.planted),
          column('ranked', 2),
          column('auroc', 4),
          column('flagged', 0),
        ],
        ...[column('precision', 2), column('recall', 2), column('corrected', 2)],
      ]);
    }
  }
  return { text: markdownTable(header, rows), measured };
}

/** How many examples could be dropped, and how many votes on other images change without them. */
async function condense(known: Labelled, asked: Embeddings, seed: number) {
  const examples = known.labels.map((label, row) => ({ id: String(row), label, source: '' }));
  const images = Array.from({ length: asked.count }, (_, row) => ({ id: String(row), label: '' }));
  const { condensed } = await auditIndex({
    ...{ name: 'condensed', examples, embeddings: known.embeddings, k: defaultVote.k, vote: defaultVote },
    ...{ seed, threads: 2, progress: quiet, test: { name: 'others', images, embeddings: asked } },
  });
  const votesOf = async (among: Int32Array | undefined): Promise<(string | undefined)[]> => {
    const k = defaultVote.k;
    const options = { embeddings: known.embeddings, queries: asked, among, k, threads: 2, progress: quiet };
    const found = await searchOthers(options);
    return images.map((_, query) => vote(ballotsOf({ found, examples }, query, k), defaultVote)[0]?.label);
  };
  const [whole, left] = [await votesOf(undefined), await votesOf(condensed.kept)];
  return {
    dropped: condensed.dropped.length,
    changed: whole.filter((label, query) => label !== left[query]).length,
  };
}

const { labels, embeddings } = await embedCifar(cifar, 'test');
const rowsOf = (seed: number): Int32Array => sampleRows({ size: labels.length, count: 2 * size, seed });
const drawn = seeds.map((seed): Labelled => {
  const rows = rowsOf(seed).subarray(0, size);
  return { embeddings: queriesOf(embeddings, rows), labels: Array.from(rows, (row) => labels[row] ?? '') };
});
console.log(`\`npx tsx bench/audit.ts\`, k = ${defaultVote.k}, softmax vote, seeds ${seeds.join(', ')}: mean (least to most).

${size} CIFAR-10 test images, encoder cifar10-compact:
`);
const onCifar = table((seed) => drawn[seed] ?? { embeddings, labels }, [0, 0.01, 0.05]);
console.log(onCifar.text);

const bar = (what: string, key: string, figure: 'precision' | 'recall', least: number): string[] => {
  const value = mean((onCifar.measured.get(key) ?? []).map((one) => one[figure]));
  return [what, `>= ${least}`, value.toFixed(3), value >= least ? 'reached' : 'missed'];
};
console.log(
  `\n${markdownTable(
    ['bar, labels changed to any other', 'asked', 'measured', ''],
    [
      bar('precision, 1 % planted', 'random 0.01', 'precision', 0.6),
      bar('precision, 5 % planted', 'random 0.05', 'precision', 0.7),
      bar('recall, 5 % planted', 'random 0.05', 'recall', 0.75),
    ],
  )}`,
);

const condensed: Awaited<ReturnType<typeof condense>>[] = [];
for (const seed of seeds) {
  const others = queriesOf(embeddings, rowsOf(seed).subarray(size));
  condensed.push(await condense(drawn[seed] ?? { embeddings, labels }, others, seed));
}
const dropped = range(
  condensed.map((one) => one.dropped),
  0,
);
const changed = condensed.reduce((sum, one) => sum + one.changed, 0);
console.log(
  `\nCondensing against the other ${size} images: ${dropped} of ${size} examples could be dropped; votes changed without them, all seeds together: ${changed}.`,
);

for (const encoder of ['models/cifar10-compact', ...encoders]) {
  const photos = await embedAll(encoder, `${clothing}/train`);
  const { text } = table(() => photos, [0, 0.05]);
  console.log(`\n${photos.labels.length} photos of clothes, encoder ${basename(encoder)}:\n\n${text}`);
}
