import type { Progress } from '../domain/progress.js';
import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { thumbnailsOf } from '../image/thumbnail.js';
import { createExactSearcher } from '../neighbours/exact.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import { checkK, type Searcher } from '../neighbours/searcher.js';
import type { MapSection, ReportPage } from '../report/section.js';
import type { VoteRule } from '../vote/rules.js';
import { commonImages, openSides, sameCounts, type CommonImages, type CompareSide } from './compare-sides.js';
import { measureDifferences, type CompareReport } from './differences.js';
import { withEncoder, type EmbeddedDataset, type EmbeddingOptions } from '../embed/embed-dataset.js';
import { comparePage } from './page/compare-page.js';
import { mapSection } from './page/map.js';
import { oneSidedSection, pickOneSided } from './page/pictures.js';
import { evaluateWarnings, trainedOnWarning } from './warnings.js';

export interface CompareOptions extends EmbeddingOptions {
  /** Two indexes, or two encoders. */
  readonly a: string;
  readonly b: string;
  /** Folder of the encoders of two indexes. */
  readonly models: string;
  readonly data: string;
  /** Of CIFAR files. */
  readonly split: 'train' | 'test';
  /** Labelled images that two encoders look the data up among. */
  readonly examples?: string | undefined;
  readonly examplesSplit: 'train' | 'test';
  readonly maxImageBytes: number;
  readonly vote: {
    readonly rule: VoteRule;
    readonly temperature: number;
    readonly priorCorrection?: boolean | undefined;
  };
  readonly k: number;
  /** Whether a k above the examples of either is brought down to them; one that was asked for is refused. */
  readonly clampK: boolean;
  readonly seed: number;
  /** Whether a page is laid out, and how many images its maps show. */
  readonly page: boolean;
  readonly mapPoints: number;
}

export interface Comparison {
  readonly dataset: string;
  /** What was compared, and how, in a line. */
  readonly headline: string;
  readonly report: CompareReport;
  /** What makes the figures other than they look. */
  readonly warnings: readonly string[];
  readonly page: ReportPage | undefined;
}

/**
 * Measures two indexes, or two encoders, on the same labelled images.
 * @throws NearvoteError `usage` when the two cannot be compared; `dataset_*`, `index_*`, `encoder_*`, `k_too_large`,
 * `worker_failed`
 */
export async function compare(options: CompareOptions, progress: Progress): Promise<Comparison> {
  const { vote, k, seed } = options;
  // Whatever can be wrong with what was asked for is said before the long work.
  await using opened = await openSides([options.a, options.b], options);
  const { sides } = opened;
  const open = (path: string, split: 'train' | 'test'): Promise<Dataset> =>
    openDataset(path, { split, maxFileBytes: options.maxImageBytes });
  const dataset = await open(options.data, options.split);
  const examples =
    options.examples === undefined ? undefined : await open(options.examples, options.examplesSplit);

  const embedded = await embedSides({ sides, dataset, examples, options, progress });
  const { common, a, b } = embedded;
  let report: CompareReport;
  try {
    if (!options.clampK) for (const { exact } of [a, b]) checkK(k, exact.size);
    report = await measureDifferences({
      a: { ...a, queries: common.a },
      b: { ...b, queries: common.b },
      truths: common.images.map(({ label }) => label),
      ...{ vote, k, seed, progress },
    });
  } finally {
    await Promise.all([a.exact.close(), b.exact.close()]);
  }
  const comparison = {
    dataset: dataset.name,
    headline: headlineOf({ report, embedded, dataset, options }),
    report,
    warnings: warningsOf(embedded, report),
  };
  return { ...comparison, page: options.page ? await pageOf(comparison, embedded, options) : undefined };
}

/** The data as both see it, and where each looks it up. */
interface EmbeddedSides {
  readonly common: CommonImages;
  /** Both have the same encoder, so they see the data alike. */
  readonly oneEncoder: boolean;
  /** Images that neither could decode. */
  readonly rejected: EmbeddedDataset['rejected'];
  readonly a: SearchedExamples;
  readonly b: SearchedExamples;
}

interface SearchedExamples {
  /** Of the data, how many images this side could decode, and how many of them its encoder was trained on. */
  readonly data: Pick<EmbeddedDataset, 'images' | 'trainedOn'>;
  readonly examples: readonly Example[];
  readonly exact: Searcher;
}

interface EmbedSidesOptions {
  readonly sides: readonly [CompareSide, CompareSide];
  readonly dataset: Dataset;
  /** Present for two encoders. */
  readonly examples: Dataset | undefined;
  readonly options: EmbeddingOptions;
  readonly progress: Progress;
}

/** Embeds the data with the encoder of each, and for two encoders the examples too. */
async function embedSides(parts: EmbedSidesOptions): Promise<EmbeddedSides> {
  const { sides, dataset, examples, options, progress } = parts;
  const [a, b] = sides;
  const embedWith = (side: CompareSide): Promise<EmbeddedSide> =>
    withEncoder({ ...options, ...side, progress }, async ({ embed }) => ({
      data: await embed(dataset),
      examples: examples && (await embed(examples)),
    }));
  const ofA = await embedWith(a);
  // Two indexes may have one encoder: what it makes of the images is the same.
  const same = a.encoder.sha256 === b.encoder.sha256 && a.encoderDir === b.encoderDir;
  const ofB = same ? ofA : await embedWith(b);
  const rejectedByB = new Set(ofB.data.rejected.map(({ id }) => id));
  const threads = options.workers * options.threads;
  const embedded = {
    common: commonImages(ofA.data, ofB.data),
    oneEncoder: same,
    rejected: ofA.data.rejected.filter(({ id }) => rejectedByB.has(id)),
  };
  if (ofA.examples === undefined || ofB.examples === undefined) {
    return {
      ...embedded,
      a: { data: ofA.data, ...(await ofIndex(a, threads)) },
      b: { data: ofB.data, ...(await ofIndex(b, threads)) },
    };
  }
  const shared = commonImages(ofA.examples, ofB.examples);
  const labelled = shared.images.map(({ id, label, source }) => ({ id, label, source }));
  const among = async ({ data }: EmbeddedSide, embeddings: Embeddings): Promise<SearchedExamples> => ({
    data,
    examples: labelled,
    exact: await createExactSearcher({ embeddings, threads }),
  });
  return { ...embedded, a: await among(ofA, shared.a), b: await among(ofB, shared.b) };
}

/** What one encoder made of the images. */
interface EmbeddedSide {
  readonly data: EmbeddedDataset;
  readonly examples: EmbeddedDataset | undefined;
}

async function ofIndex({ index }: CompareSide, threads: number): Promise<Omit<SearchedExamples, 'data'>> {
  if (index === undefined) throw new TypeError('Expected an index');
  return { examples: index.examples, exact: await openSearcher({ ...index, mode: 'exact', threads }) };
}

function headlineOf(parts: {
  readonly report: CompareReport;
  readonly embedded: EmbeddedSides;
  readonly dataset: Dataset;
  readonly options: CompareOptions;
}): string {
  const { report, embedded, dataset, options } = parts;
  const { a, b } = embedded;
  const sizes = a.examples.length === b.examples.length ? [a] : [a, b];
  return (
    `A: ${options.a}, B: ${options.b}; ${report.queries} images of ${dataset.name} against ` +
    `${sizes.map(({ examples }) => examples.length).join(' and ')} examples, ${options.vote.rule} vote${options.vote.priorCorrection === true ? ', prior correction' : ''}, k = ${report.k}, seed ${options.seed}`
  );
}

/** Of those that only A gets right, and of those that only B does. */
const picturesShown = 12;

async function pageOf(
  { headline, report, warnings }: Omit<Comparison, 'page'>,
  { common: { images, a, b }, oneEncoder }: EmbeddedSides,
  { seed, mapPoints, ...names }: CompareOptions,
): Promise<ReportPage> {
  // The same seed and number of images: both maps show the same ones.
  const mapOf = (name: string, embeddings: Embeddings): Promise<MapSection> =>
    mapSection({ embedded: { images, embeddings }, name, most: mapPoints, seed });
  const maps = oneEncoder
    ? [await mapOf('A and B, which have one encoder', a)]
    : [await mapOf(`A: ${names.a}`, a), await mapOf(`B: ${names.b}`, b)];
  const oneSided = pickOneSided(report, images, picturesShown);
  const shown = [...oneSided.onlyA, ...oneSided.onlyB].map(({ image }) => image);
  return comparePage({
    subtitle: headline,
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

function warningsOf(sides: EmbeddedSides, { duplicates }: CompareReport): string[] {
  const { common, rejected, oneEncoder, a, b } = sides;
  return [
    ...trainedOnWarning(oneEncoder ? 'the encoder' : 'the encoder of A', a.data),
    ...(oneEncoder ? [] : trainedOnWarning('the encoder of B', b.data)),
    ...evaluateWarnings({
      known: { images: common.images, rejected, trainedOn: 0 },
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
