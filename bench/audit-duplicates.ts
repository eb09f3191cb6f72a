/*
 * Near-duplicates among CIFAR-10's 50,000 training images, by embedding and by pixels, with what chance gives; and the
 * time and memory of the search.  npx tsx bench/audit-duplicates.ts [CIFAR_FOLDER]
 */
import {
  candidatePairs,
  comparedSide,
  duplicatePairs,
  pixelCorrelation,
  surroundingNeighbours,
  type Pair,
} from '../src/audit/duplicates.js';
import { clusters } from '../src/audit/find-duplicates.js';
import { numberLabels } from '../src/audit/labelling.js';
import { searchOthers } from '../src/audit/search-others.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { createDecoder } from '../src/image/decode.js';
import { resizeTo } from '../src/image/geometry.js';
import { seededRandom } from './drawn-images.js';
import { embedCifar } from './embed-cifar.js';

const [, , folder = '../shared/data/cifar10'] = process.argv;
const quiet = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const { labels, pixels, embeddings } = await embedCifar(folder, 'train');
const labelling = numberLabels(labels);
const side = { width: comparedSide, height: comparedSide };
const decoder = createDecoder({ geometry: resizeTo({ ...side, fit: 'fill', kernel: 'linear' }) });
const thumbnails = await Promise.all(
  pixels.map((image) => decoder.decode({ kind: 'pixels', pixels: image, width: 32, height: 32 })),
);
const none = new Uint8Array();
const correlation = ({ a, b }: Pick<Pair, 'a' | 'b'>): number =>
  pixelCorrelation(thumbnails[a] ?? none, thumbnails[b] ?? none);

const before = process.memoryUsage().rss;
const started = performance.now();
const lists = await searchOthers({ embeddings, k: 2 * surroundingNeighbours, threads: 2, progress: quiet });
const seconds = (performance.now() - started) / 1000;
const grown = (process.resourceUsage().maxRSS * 1024 - before) / 1e6;

const options = { lists, ofRows: lists, labelling };
const pairs = candidatePairs(options);
const byEmbedding = duplicatePairs({ ...options, pairs });
const confirmed = duplicatePairs({ ...options, pairs, correlation });
const fixed = pairs.filter(({ similarity }) => similarity >= 0.98);

const random = seededRandom(1);
const byChance: number[] = [];
while (byChance.length < 4_000) {
  const [a, b] = [Math.floor(random() * labels.length), Math.floor(random() * labels.length)];
  if (a !== b && labels[a] === labels[b]) byChance.push(correlation({ a, b }));
}
byChance.sort((a, b) => a - b);

const row = (what: string, found: readonly Pair[]): string[] => {
  const correlations = found.map(correlation).sort((a, b) => a - b);
  const above = (bound: number): string =>
    `${((100 * correlations.filter((one) => one >= bound).length) / found.length).toFixed(1)} %`;
  return [
    what,
    String(found.length),
    String(clusters(found).length),
    String(found.filter(({ a, b }) => labels[a] !== labels[b]).length),
    above(0.45),
    above(0.8),
    (correlations[found.length >> 1] ?? NaN).toFixed(2),
  ];
};
console.log(`\`npx tsx bench/audit-duplicates.ts\`. ${labels.length} CIFAR-10 training images, encoder cifar10-compact.
`);
console.log(
  markdownTable(
    ['pairs', 'found', 'groups', 'across labels', 'pixels correlate >= 0.45', '>= 0.8', 'median'],
    [
      row("among each other's five nearest", pairs),
      row('of those, cosine >= 0.98', fixed),
      row('near, by embedding alone', byEmbedding),
      row('near, with pixels', confirmed),
    ],
  ),
);
console.log(
  `\n${byChance.length} random pairs of one label correlate at most ${(byChance.at(-1) ?? NaN).toFixed(2)}, 90 % of them below ${(byChance[Math.floor(0.9 * byChance.length)] ?? NaN).toFixed(2)}.`,
);
console.log(
  `Searching ${labels.length} x ${embeddings.dimension} against itself: ${seconds.toFixed(1)} s with 2 threads, memory grown by at most ${grown.toFixed(0)} MB.`,
);
