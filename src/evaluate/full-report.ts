import type { Progress } from '../domain/progress.js';
import { seededRandom } from '../domain/seeded-random.js';
import {
  accuracyByRule,
  confidentOf,
  measureAccuracy,
  indexRecalls,
  type AccuracyOptions,
  type AccuracyReport,
  type RuleAccuracy,
} from './measure-accuracy.js';
import { eceInterval, eceNullBand } from './measure-confidence.js';
import { measureClusters, measureRetrieval, type MeasuredClusters } from './measure-embeddings.js';
import {
  classScores,
  confusionMatrix,
  macroScores,
  topAccuracy,
  type ClassScores,
  type ConfusionMatrix,
  type Judged,
  type PrecisionRecall,
} from './metrics/accuracy.js';
import {
  bootstrapEach,
  bootstrapMean,
  drawAgain,
  shareInterval,
  type Interval,
} from './metrics/intervals.js';
import {
  brierOf,
  brierScore,
  expectedCalibrationError,
  negativeLogLikelihood,
  negativeLogLikelihoodOf,
  reliabilityBins,
  type Confident,
  type ReliabilityBin,
  type Scored,
} from './metrics/confidence.js';
import {
  averageRetrieval,
  retrievalRecall,
  type QueryRetrieval,
  type Retrieval,
} from './metrics/retrieval.js';

export interface FullReportOptions extends AccuracyOptions {
  /** Of k-means and of the intervals. */
  readonly seed: number;
  readonly progress: Progress;
}

interface RetrievalReport extends Retrieval {
  /** Queries left out: no example has their label. */
  readonly lone: number;
  readonly recall: readonly { readonly k: number; readonly value: number; readonly interval: Interval }[];
}

interface ProbabilityReport {
  readonly ece: number;
  /** Where the ECE would lie, 95 %, if each confidence were the probability of being right. */
  readonly nullBand: Interval;
  readonly brier: number;
  readonly nll: number;
  readonly bins: readonly ReliabilityBin[];
}

export interface FullReport extends AccuracyReport {
  /** Share of images whose label is among the five with most votes, at the served k. */
  readonly top5: number;
  /** By exact search. */
  readonly rules: readonly RuleAccuracy[];
  readonly classes: readonly ClassScores[];
  readonly macro: PrecisionRecall;
  readonly confusion: ConfusionMatrix;
  /** By exact search: the encoder's own figures. */
  readonly retrieval: RetrievalReport;
  readonly clusters: MeasuredClusters;
  /** Of the label's share of the vote, as it is served. */
  readonly probability: ProbabilityReport;
  /** 95 %: Wilson's for shares of the images, by bootstrap over them for the others. */
  readonly intervals: Readonly<Record<Headline, Interval>>;
  readonly indexRecallInterval: Interval | undefined;
}

const recallKs = [1, 5, 10];

/** Everything that can be said of an index on labelled images that it does not hold. */
export async function fullReport(options: FullReportOptions): Promise<FullReport> {
  const { queries, truths, examples, exact, seed, progress } = options;
  const core = await measureAccuracy(options);
  const { answers, found } = core;
  const judged: Judged[] = truths.map((truth, i) => ({ truth, predicted: answers[i]?.label }));
  const scored = answers.map(({ scores }, i) => ({ truth: truths[i] ?? '', scores }));
  const confident = confidentOf(answers, truths);
  const ofMean = (values: ArrayLike<number>): Interval =>
    bootstrapMean(values, { random: seededRandom(seed) });
  const { scores: retrieved, lone } = await measureRetrieval({
    ...{ queries, truths, examples, exact, progress },
    mostRecall: Math.max(...recallKs),
  });
  const classes = classScores(judged);
  return {
    ...core,
    top5: topAccuracy(
      scored.map(({ truth, scores }) => ({ truth, labels: scores.map(({ label }) => label) })),
      5,
    ),
    rules: accuracyByRule({
      ...{ found: found.exact, examples, truths },
      ks: core.accuracy.map(({ k }) => k),
      temperature: options.vote.temperature,
    }),
    classes,
    macro: macroScores(classes),
    confusion: confusionMatrix(judged),
    retrieval: {
      ...averageRetrieval(retrieved),
      lone,
      recall: recallKs.map((k) => ({
        k,
        value: retrievalRecall(retrieved, k),
        interval: shareInterval(retrieved.map(({ firstHit }) => firstHit <= k)),
      })),
    },
    clusters: measureClusters({ embeddings: queries, labels: truths, seed }),
    probability: probabilityOf({ confident, scored, seed }),
    intervals: intervalsOf({ judged, scored, confident, retrieved, seed }),
    indexRecallInterval:
      core.indexRecall && ofMean(indexRecalls(found.served, found.exact, core.indexRecall.k)),
  };
}

function probabilityOf({
  confident,
  scored,
  seed,
}: Pick<IntervalsOptions, 'confident' | 'scored' | 'seed'>): ProbabilityReport {
  const bins = reliabilityBins(confident);
  return {
    ece: expectedCalibrationError(bins),
    nullBand: eceNullBand(confident, seed),
    brier: brierScore(scored),
    nll: negativeLogLikelihood(scored),
    bins,
  };
}

/** The figures that get an interval here; those of clusters and of unknown images come with them. */
type Headline =
  | 'accuracy'
  | 'top5'
  | 'macroPrecision'
  | 'macroRecall'
  | 'macroF1'
  | 'precisionAt1'
  | 'rPrecision'
  | 'mapAtR'
  | 'ece'
  | 'brier'
  | 'nll';

interface IntervalsOptions {
  readonly judged: readonly Judged[];
  readonly scored: readonly Scored[];
  readonly confident: readonly Confident[];
  readonly retrieved: readonly QueryRetrieval[];
  readonly seed: number;
}

/** 95 % intervals; those by bootstrap each from the same seed: adding one changes no other. */
function intervalsOf(options: IntervalsOptions): Record<Headline, Interval> {
  const { judged, scored, confident, retrieved, seed } = options;
  const ofMean = (values: readonly number[]): Interval =>
    bootstrapMean(values, { random: seededRandom(seed) });
  const random = seededRandom(seed);
  const macro = bootstrapEach(
    ['precision', 'recall', 'f1'],
    () => macroScores(classScores(drawAgain(judged, random))),
    {},
  );
  return {
    accuracy: shareInterval(judged.map(({ truth, predicted }) => truth === predicted)),
    top5: shareInterval(
      scored.map(({ truth, scores }) => scores.slice(0, 5).some(({ label }) => label === truth)),
    ),
    macroPrecision: macro.precision,
    macroRecall: macro.recall,
    macroF1: macro.f1,
    precisionAt1: shareInterval(retrieved.map(({ precisionAt1 }) => precisionAt1 === 1)),
    rPrecision: ofMean(retrieved.map(({ rPrecision }) => rPrecision)),
    mapAtR: ofMean(retrieved.map(({ averagePrecisionAtR }) => averagePrecisionAtR)),
    ece: eceInterval(confident, seed),
    brier: ofMean(scored.map(brierOf)),
    nll: ofMean(scored.map(negativeLogLikelihoodOf)),
  };
}
