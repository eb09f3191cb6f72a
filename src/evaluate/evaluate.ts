import {
  applyCalibration,
  recogniseIn,
  type CalibrationFile,
  type VoteChoice,
} from '../examples/calibration-file.js';
import type { Progress } from '../domain/progress.js';
import { imagesById, type Dataset } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { thumbnailsOf } from '../image/thumbnail.js';
import { checkHasExamples, type OpenIndex } from '../examples/index-store.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import { checkK } from '../neighbours/searcher.js';
import { openOffline } from '../pair.js';
import type { ReportPage } from '../report/section.js';
import type { VoteSettings } from '../vote/calibration.js';
import { labelSharesOf } from '../vote/vote.js';
import { withEncoder, type EmbeddedDataset, type EmbeddingOptions } from '../embed/embed-dataset.js';
import { fullReport, type FullReport } from './full-report.js';
import { calibratedReport, type CalibratedReport } from './measure-confidence.js';
import { checkUnknown, unknownReport, type UnknownReport } from './measure-unknown.js';
import { evaluatePage } from './page/evaluate-page.js';
import { mapSection } from './page/map.js';
import { mistakesSection, pickMistakes } from './page/pictures.js';
import { voteWords } from './page/words.js';
import { evaluateWarnings } from './warnings.js';

export interface EvaluateOptions extends EmbeddingOptions {
  /** Folder of the index, and folder of encoders. */
  readonly index: string;
  readonly models: string;
  readonly search: 'auto' | 'exact';
  /** Labelled images that the index does not hold. */
  readonly data: string;
  /** Of CIFAR files. */
  readonly split: 'train' | 'test';
  /** Images of no label of the index. */
  readonly ood?: string | undefined;
  /** What the index was built from, to show its pictures. */
  readonly examples?: string | undefined;
  readonly examplesSplit: 'train' | 'test';
  readonly maxImageBytes: number;
  readonly vote: VoteChoice;
  /** Whether a k above the size of the index is brought down to it; one that was asked for is refused. */
  readonly clampK: boolean;
  readonly seed: number;
  /** Whether a page is laid out, and how many images its map shows. */
  readonly page: boolean;
  readonly mapPoints: number;
}

/** What an index is worth on labelled images. */
export interface Evaluation {
  readonly dataset: string;
  readonly embedded: EmbeddedDataset;
  /** As the neighbours voted. */
  readonly vote: VoteSettings;
  readonly report: FullReport;
  readonly unknown: UnknownReport | undefined;
  /** Where a calibration is served. */
  readonly calibrated: CalibratedReport | undefined;
  /** What makes the figures other than they look. */
  readonly warnings: readonly string[];
  readonly page: ReportPage | undefined;
}

/**
 * Measures an index on labelled images that it does not hold.
 * @throws NearvoteError `dataset_*`, `index_*`, `encoder_*`, `k_too_large`, `worker_failed`
 */
export async function evaluate(options: EvaluateOptions, progress: Progress): Promise<Evaluation> {
  const open = (path: string, split: 'train' | 'test'): Promise<Dataset> =>
    openDataset(path, { split, maxFileBytes: options.maxImageBytes });
  // Whatever can be wrong with what was asked for is said before the long work.
  const dataset = await open(options.data, options.split);
  const { ood, split, maxImageBytes: maxFileBytes } = options;
  const strangers =
    ood === undefined ? undefined : await openDataset(ood, { split, maxFileBytes, unlabelled: true });
  const examples =
    options.examples === undefined ? undefined : await open(options.examples, options.examplesSplit);
  await using pair = await openOffline(options);
  const { index, encoder, encoderDir, calibration: found } = pair;
  checkHasExamples(index);
  if (!options.clampK) checkK(options.vote.settings.k, index.examples.length);

  const embedding = { ...options, encoder, encoderDir, progress };
  const { embedded, unknown } = await withEncoder(embedding, async ({ embed }) => ({
    embedded: await embed(dataset),
    unknown: strangers && (await embed(strangers)),
  }));
  const { calibration, warning } = applyCalibration(found, options.vote);
  const vote = calibration?.vote ?? options.vote.settings;
  const measured = await measure({ index, embedded, unknown, vote, calibration, options, progress });
  const warnings = [
    ...evaluateWarnings({
      ...{ known: embedded, unknown, examples: index.examples },
      ...{ duplicates: measured.report.duplicates, calibrated: measured.calibrated },
    }),
    ...(warning === undefined ? [] : [warning]),
  ];
  const evaluation = { dataset: dataset.name, embedded, vote, ...measured, warnings };
  const page = options.page ? await pageOf({ evaluation, index, examples, options }) : undefined;
  return { ...evaluation, page };
}

/** The k's of the table, as DINO's eval_knn has them and the article's k = 1. */
const ks = [1, 5, 10, 20, 50, 200];

interface MeasureOptions {
  readonly index: OpenIndex;
  readonly embedded: EmbeddedDataset;
  readonly unknown: EmbeddedDataset | undefined;
  /** As a server would vote. */
  readonly vote: VoteSettings;
  /** The one a server would use. */
  readonly calibration: CalibrationFile | undefined;
  readonly options: EvaluateOptions;
  readonly progress: Progress;
}

/** Measures what a server would answer for these images, and how well it tells the unknown ones. */
async function measure(
  parts: MeasureOptions,
): Promise<Pick<Evaluation, 'report' | 'unknown' | 'calibrated'>> {
  const { index, embedded, unknown, calibration, options, progress } = parts;
  const { examples, dir, manifest } = index;
  const { seed } = options;
  // The workers are gone: search may have every core.
  const threads = options.workers * options.threads;
  const served = await openSearcher({ dir, manifest, threads, mode: options.search });
  const exact =
    served.kind === 'exact' ? served : await openSearcher({ dir, manifest, threads, mode: 'exact' });
  const { rule, temperature, k, priorCorrection } = parts.vote;
  const priors = priorCorrection ? labelSharesOf(examples.map(({ label }) => label)) : undefined;
  const vote = { rule, temperature, priors };
  const truths = embedded.images.map(({ label }) => label);
  try {
    if (unknown !== undefined) await checkUnknown({ unknown, known: embedded, examples, exact, threads });
    const report = await fullReport({
      ...{ queries: embedded.embeddings, truths, examples, exact, vote, ks, k, seed, progress },
      hnsw: served.kind === 'hnsw' ? served : undefined,
    });
    const { answers, served: at } = report;
    const among = { known: answers, examples, served, vote, k: at.k, seed };
    const strangers = unknown && (await unknownReport({ ...among, unknown: unknown.embeddings }));
    const calibrated =
      calibration &&
      calibratedReport({
        ...{ calibration, answers, embeddings: embedded.embeddings, truths, seed },
        strangers: strangers && { answers: strangers.answers, embeddings: unknown.embeddings },
        fitted: embedded.keys.map(recogniseIn(calibration.fingerprints)),
      });
    return { report, unknown: strangers, calibrated };
  } finally {
    for (const searcher of new Set([served, exact])) await searcher.close();
  }
}

interface PageParts {
  readonly evaluation: Omit<Evaluation, 'page'>;
  readonly index: OpenIndex;
  /** What the index was built from, where its pictures are to be shown. */
  readonly examples: Dataset | undefined;
  readonly options: EvaluateOptions;
}

const mistakesShown = 20;

/** Draws the map, gathers the pictures, and lays the page out. */
async function pageOf({ evaluation, index, examples, options }: PageParts): Promise<ReportPage> {
  const { report, embedded, dataset, vote, warnings } = evaluation;
  const { seed, mapPoints: most } = options;
  const mistakes = pickMistakes({
    images: embedded.images,
    answers: report.answers,
    found: report.found.served,
    examples: index.examples,
    most: mistakesShown,
  });
  const wanted = new Set(
    mistakes.flatMap(({ neighbours }) => neighbours.map(({ example }) => example.source)),
  );
  const shown = examples === undefined ? undefined : await imagesById(examples, wanted);
  const missing =
    shown === undefined || shown.size === wanted.size
      ? []
      : [`${wanted.size - shown.size} of ${wanted.size} neighbours are not in --examples: no pictures`];
  const { encoder } = index.manifest;
  return evaluatePage({
    ...evaluation,
    title: `nearvote evaluate: ${index.name}`,
    subtitle: `${report.queries} images of ${dataset} against ${report.examples} examples of index ${index.name} ${index.version}, encoder ${encoder.name} ${encoder.version}, ${voteWords(vote)}, k = ${report.served.k}, seed ${seed}`,
    warnings: [...warnings, ...missing],
    mistakes: mistakesSection({
      mistakes,
      images: await thumbnailsOf(mistakes.map(({ image }) => image)),
      examples: await thumbnailsOf(shown?.values() ?? []),
    }),
    map: await mapSection({ embedded, name: dataset, most, seed }),
  });
}
