/*
 * Near-duplicates among CIFAR-10's images, by embedding and by pixels, and what chance gives.
 *   npx tsx bench/audit-duplicates.ts [CIFAR_FOLDER] [train|test]
 */
import { candidatePairs, nearPairs, surroundingNeighbours, type Pair } from '../src/audit/duplicates.js';
import { clusters } from '../src/audit/find-duplicates.js';
import { numberLabels } from '../src/audit/labelling.js';
import {
  coarsePicture,
  comparedPicture,
  comparedSide,
  likenessOf,
  mayBeSame,
} from '../src/audit/same-picture.js';
import { searchOthers } from '../src/audit/search-others.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { seededRandom } from '../src/domain/seeded-random.js';
import { createDecoder } from '../src/image/decode.js';
import { resizeTo } from '../src/image/geometry.js';
import { embedCifar } from './embed-cifar.js';

const [, , folder = '../shared/data/cifar10', split = 'train'] = process.argv;
if (split !== 'train' && split !== 'test') throw new Error(`Expected train or test but received ${split}`);
const quiet = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const { labels, pixels, embeddings } = await embedCifar(folder, split);
const labelling = numberLabels(labels);
const side = { width: comparedSide, height: comparedSide };
const decoder = createDecoder({ geometry: resizeTo({ ...side, fit: 'fill', kernel: 'linear' }) });
const enlarged = (row: number): Promise<Uint8Array> =>
  decoder.decode({ kind: 'pixels', pixels: pixels[row] ?? new Uint8Array(), width: 32, height: 32 });
const coarse: Float32Array[] = [];
for (const row of labels.keys()) coarse.push(coarsePicture(await enlarged(row)));

/** Of some pairs, those that are one picture. */
async function compare(pairs: readonly Pair[]): Promise<Pair[]> {
  const same: Pair[] = [];
  const flat = new Float32Array(256);
  for (const pair of pairs) {
    if (!mayBeSame(coarse[pair.a] ?? flat, coarse[pair.b] ?? flat)) continue;
    const [a, b] = [comparedPicture(await enlarged(pair.a)), comparedPicture(await enlarged(pair.b))];
    if (likenessOf(a, b) !== undefined) same.push(pair);
  }
  return same;
}

let started = performance.now();
const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1);
const lists = await searchOthers({ embeddings, k: surroundingNeighbours, threads: 2, progress: quiet });
const searching = seconds();
const pairs = candidatePairs({ lists, ofRows: lists });
const near = nearPairs({ lists, ofRows: lists, labelling, pairs });
started = performance.now();
const same = await compare(pairs);
const comparing = seconds();

const random = seededRandom(1);
const byChance: Pair[] = [];
while (byChance.length < 20_000) {
  const [a, b] = [Math.floor(random() * labels.length), Math.floor(random() * labels.length)];
  if (a !== b && labels[a] === labels[b]) byChance.push({ a, b, similarity: NaN });
}

const confirmed = new Set(same.map(({ a, b }) => `${a}-${b}`));
const row = (what: string, found: readonly Pair[]): string[] => [
  what,
  String(found.length),
  String(clusters(found).length),
  String(found.filter(({ a, b }) => labels[a] !== labels[b]).length),
  String(found.filter(({ a, b }) => confirmed.has(`${a}-${b}`)).length),
];
console.log(`\`npx tsx bench/audit-duplicates.ts\`. ${labels.length} CIFAR-10 images (${split}), encoder cifar10-compact.
`);
console.log(
  markdownTable(
    ['pairs', 'found', 'groups', 'across labels', 'the same by their pixels'],
    [
      row('one among the ten nearest of the other', pairs),
      row('near, by embedding alone', near),
      row('near, by pixels', same),
    ],
  ),
);
console.log(
  `\nOf ${byChance.length} random pairs of one label ${(await compare(byChance)).length} are the same by their pixels.`,
);
console.log(
  `Searching ${searching} s with 2 threads, comparing ${pairs.length} pairs ${comparing} s with one.`,
);
