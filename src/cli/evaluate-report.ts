import type { EmbeddedDataset } from '../evaluate/embed-dataset.js';
import type { FullReport } from '../evaluate/full-report.js';
import type { CalibratedReport } from '../evaluate/measure-confidence.js';
import type { UnknownReport } from '../evaluate/measure-unknown.js';
import { evaluatePage } from '../evaluate/page/evaluate-page.js';
import { mapSection } from '../evaluate/page/map.js';
import { mistakesSection, pickMistakes } from '../evaluate/page/pictures.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { imagesById } from '../image/dataset/images-by-id.js';
import type { OpenIndex } from '../examples/index-store.js';
import type { ReportPage } from '../report/section.js';
import type { VoteSettings } from '../vote/calibration.js';
import type { EvaluateFlags } from './evaluate-options.js';
import { thumbnailsOf } from './report-thumbnails.js';
import { voteWords } from './vote-choice.js';

export interface EvaluateReportParts {
  readonly report: FullReport;
  readonly unknown: UnknownReport | undefined;
  readonly calibrated: CalibratedReport | undefined;
  readonly embedded: EmbeddedDataset;
  readonly dataset: Dataset;
  readonly index: OpenIndex;
  /** What the index was built from, where its pictures are to be shown. */
  readonly examples: Dataset | undefined;
  /** As votes were counted. */
  readonly settings: VoteSettings;
  readonly warnings: readonly string[];
  readonly flags: EvaluateFlags;
}

const mistakesShown = 20;

/** Draws the map, gathers the pictures, and lays the page out. */
export async function evaluateReport(parts: EvaluateReportParts): Promise<ReportPage> {
  const { report, unknown, calibrated, embedded, dataset, index, examples, settings, warnings, flags } =
    parts;
  const mistakes = pickMistakes({
    images: embedded.images,
    answers: report.answers,
    found: report.found.served,
    examples: index.examples,
    most: mistakesShown,
  });
  const wanted = new Set(mistakes.flatMap(({ neighbours }) => neighbours.map(({ example }) => example.id)));
  const shown = examples === undefined ? undefined : await imagesById(examples, wanted);
  const missing =
    shown === undefined || shown.size === wanted.size
      ? []
      : [`${wanted.size - shown.size} of ${wanted.size} neighbours are not in --examples: no pictures`];
  return evaluatePage({
    title: `nearvote evaluate: ${index.name}`,
    subtitle: `${report.queries} images of ${dataset.name} against ${report.examples} examples of index ${index.name} ${index.version}, encoder ${index.manifest.encoder.name} ${index.manifest.encoder.version}, ${voteWords(settings)}, k = ${report.served.k}, seed ${flags.seed}`,
    report,
    unknown,
    calibrated,
    warnings: [...warnings, ...missing],
    mistakes: mistakesSection({
      mistakes,
      images: await thumbnailsOf(mistakes.map(({ image }) => image)),
      examples: await thumbnailsOf(shown?.values() ?? []),
    }),
    map: await mapSection({ embedded, name: dataset.name, most: flags.mapPoints, seed: flags.seed }),
  });
}
