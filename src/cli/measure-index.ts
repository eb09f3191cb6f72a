import { recognise, type CalibrationFile } from '../calibrate/calibration-file.js';
import type { EmbeddedDataset } from '../evaluate/embed-dataset.js';
import { fullReport, type FullReport } from '../evaluate/full-report.js';
import { calibratedReport, type CalibratedReport } from '../evaluate/measure-confidence.js';
import { checkUnknown, unknownReport, type UnknownReport } from '../evaluate/measure-unknown.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import type { VoteSettings } from '../vote/calibration.js';
import { labelSharesOf } from '../vote/prior.js';
import type { EvaluateFlags } from './evaluate-options.js';
import type { OfflinePair } from '../pair.js';
import { createProgress } from './progress.js';

/** The k's of the table, as DINO's eval_knn has them and the article's k = 1. */
const ks = [1, 5, 10, 20, 50, 200];

export interface MeasureIndexOptions {
  readonly pair: OfflinePair;
  readonly flags: EvaluateFlags;
  readonly embedded: EmbeddedDataset;
  readonly unknown: EmbeddedDataset | undefined;
  /** As a server would vote. */
  readonly settings: VoteSettings;
  /** The one a server would use. */
  readonly calibration: CalibrationFile | undefined;
}

export interface MeasuredIndex {
  readonly report: FullReport;
  readonly unknown: UnknownReport | undefined;
  readonly calibrated: CalibratedReport | undefined;
}

/** Measures what a server would answer for these images, and how well it tells the unknown ones. */
export async function measureIndex(options: MeasureIndexOptions): Promise<MeasuredIndex> {
  const { pair, flags, embedded, unknown, settings, calibration } = options;
  const { examples } = pair.index;
  const { seed } = flags;
  // The workers are gone: search may have every core.
  const threads = flags.workers * flags.threads;
  const open = { ...pair.published, threads };
  const served = await openSearcher({ ...open, mode: flags.search });
  const exact = served.kind === 'exact' ? served : await openSearcher({ ...open, mode: 'exact' });
  const vote = {
    ...{ rule: settings.rule, temperature: settings.temperature },
    priors: settings.priorCorrection ? labelSharesOf(examples.map(({ label }) => label)) : undefined,
  };
  const truths = embedded.images.map(({ label }) => label);
  try {
    if (unknown !== undefined) await checkUnknown({ unknown, known: embedded, examples, exact, threads });
    const report = await fullReport({
      ...{ queries: embedded.embeddings, truths, examples, exact, vote, ks, k: settings.k, seed },
      hnsw: served.kind === 'hnsw' ? served : undefined,
      progress: createProgress(),
    });
    const { answers, served: at } = report;
    const among = { known: answers, examples, served, vote, k: at.k, seed };
    const strangers = unknown && (await unknownReport({ ...among, unknown: unknown.embeddings }));
    const calibrated =
      calibration &&
      calibratedReport({
        ...{ calibration, answers, truths, strangers: strangers?.answers, seed },
        fitted: embedded.keys.map(recognise(calibration.fingerprints)),
      });
    return { report, unknown: strangers, calibrated };
  } finally {
    for (const searcher of new Set([served, exact])) await searcher.close();
  }
}
