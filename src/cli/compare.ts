import type { Command } from 'commander';
import type { Embeddings } from '../domain/embeddings.js';
import { sameCounts } from '../evaluate/common-images.js';
import { compare, type CompareReport } from '../evaluate/differences.js';
import { classesTable, comparePage, mcnemarTable, pairedTable } from '../evaluate/page/compare-page.js';
import { mapSection } from '../evaluate/page/map.js';
import { oneSidedSection, pickOneSided } from '../evaluate/page/pictures.js';
import { evaluateWarnings } from '../evaluate/warnings.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { checkK } from '../neighbours/searcher.js';
import { renderPage } from '../report/render-page.js';
import type { MapSection, ReportPage } from '../report/section.js';
import { compareOptions, type CompareFlags } from './compare-options.js';
import { openSides } from './compare-side.js';
import { embedSides, type EmbeddedSides } from './embed-sides.js';
import { checkWritable, writeOutput } from './output-file.js';
import { createProgress } from './progress.js';
import { thumbnailsOf } from './report-thumbnails.js';
import { tableOf } from './text-table.js';

/** Of those that only A gets right, and of those that only B does. */
const picturesShown = 12;

export function compareCommand(): Command {
  return compareOptions().action(compareTwo);
}

async function compareTwo(a: string, b: string, flags: CompareFlags, command: Command): Promise<void> {
  // Whatever can be wrong with what was asked for is said before the long work.
  if (flags.report !== undefined) await checkWritable(flags.report);
  const sides = await openSides([a, b], flags);
  const open = (path: string, split: 'train' | 'test'): Promise<Dataset> =>
    openDataset(path, { split, maxFileBytes: flags.maxImageBytes });
  const dataset = await open(flags.data, flags.split);
  const examples = flags.examples === undefined ? undefined : await open(flags.examples, flags.examplesSplit);

  const embedded = await embedSides({ sides, dataset, examples, flags });
  const { common } = embedded;
  let report: CompareReport;
  try {
    // The default is clamped; a k that was asked for is not.
    if (command.getOptionValueSource('k') !== 'default') {
      for (const { exact } of [embedded.a, embedded.b]) checkK(flags.k, exact.size);
    }
    report = await compare({
      a: { ...embedded.a, queries: common.a },
      b: { ...embedded.b, queries: common.b },
      truths: common.images.map(({ label }) => label),
      vote: { rule: flags.vote, temperature: flags.temperature },
      k: flags.k,
      seed: flags.seed,
      progress: createProgress(),
    });
  } finally {
    await Promise.all([embedded.a.exact.close(), embedded.b.exact.close()]);
  }
  const warnings = warningsOf(embedded, report);
  const parts = { names: { a, b }, report, embedded, dataset, flags, warnings };
  if (flags.report !== undefined) await writeOutput(flags.report, renderPage(await pageOf(parts)));
  if (flags.json) {
    const figures = { ...report, answers: undefined, dataset: dataset.name, seed: flags.seed, warnings };
    console.log(JSON.stringify({ a, b, ...figures }, null, 2));
  } else {
    console.log(
      [
        headline(parts),
        tableOf(pairedTable(report)),
        tableOf(mcnemarTable(report)),
        tableOf(classesTable(report)),
        'Differences are B - A in percentage points, with 95 % intervals.',
        ...warnings.map((warning) => `Warning: ${warning}`),
      ].join('\n'),
    );
  }
}

interface Parts {
  readonly names: { readonly a: string; readonly b: string };
  readonly report: CompareReport;
  readonly embedded: EmbeddedSides;
  readonly dataset: Dataset;
  readonly flags: CompareFlags;
  readonly warnings: readonly string[];
}

function headline({ names, report, embedded, dataset, flags }: Parts): string {
  const { a, b } = embedded;
  const sizes = a.examples.length === b.examples.length ? [a] : [a, b];
  return (
    `A: ${names.a}, B: ${names.b}; ${report.queries} images of ${dataset.name} against ` +
    `${sizes.map(({ examples }) => examples.length).join(' and ')} examples, ${flags.vote} vote, k = ${report.k}, seed ${flags.seed}`
  );
}

async function pageOf(parts: Parts): Promise<ReportPage> {
  const { names, report, embedded, flags, warnings } = parts;
  const { images, a, b } = embedded.common;
  const mapped = { most: flags.mapPoints, seed: flags.seed };
  // The same seed and number of images: both maps show the same ones.
  const mapOf = (name: string, embeddings: Embeddings): Promise<MapSection> =>
    mapSection({ embedded: { images, embeddings }, name, ...mapped });
  const maps = embedded.oneEncoder
    ? [await mapOf('A and B, which have one encoder', a)]
    : [await mapOf(`A: ${names.a}`, a), await mapOf(`B: ${names.b}`, b)];
  const oneSided = pickOneSided(report, images, picturesShown);
  const shown = [...oneSided.onlyA, ...oneSided.onlyB].map(({ image }) => image);
  return comparePage({
    subtitle: headline(parts),
    ...{ names, report, warnings },
    map: joinMaps(maps),
    pictures: oneSidedSection(oneSided, await thumbnailsOf(shown)),
  });
}

/** Side by side under what is said of the first. */
function joinMaps(maps: readonly MapSection[]): MapSection {
  const [first] = maps;
  return {
    kind: 'map',
    title: maps.length > 1 ? 'Maps of the embeddings' : 'Map of the embeddings',
    note: first?.note,
    maps: maps.flatMap((one) => one.maps),
  };
}

function warningsOf({ common, rejected, a, b }: EmbeddedSides, { duplicates }: CompareReport): string[] {
  return [
    ...evaluateWarnings({
      known: { images: common.images, rejected },
      unknown: undefined,
      examples: a.examples,
      duplicates: Math.max(duplicates.a, duplicates.b),
    }),
    ...(sameCounts(a.examples, b.examples)
      ? []
      : [
          'A and B have not as many examples of each label: R-precision and MAP@R look as deep as a label has examples, so they compare the depth too',
        ]),
    ...(common.left === 0 ? [] : [`${common.left} images that only one of both could decode are left out`]),
  ];
}
