import type { Progress } from '../build/progress.js';
import { seededRandom } from '../domain/seeded-random.js';
import { confidentOf } from './answers.js';
import { evaluate, indexRecalls, type EvaluateOptions, type EvaluateReport } from './evaluate.js';
import { topAccuracy, type Judged } from './metrics/accuracy.js';
import { classScores, confusionMatrix, macroScores } from './metrics/confusion.js';
import type { ClassScores, ConfusionMatrix, PrecisionRecall } from './metrics/confusion.js';
import { bootstrapMean, type Interval } from './metrics/bootstrap.js';
import { expectedCalibrationError, reliabilityBins, type ReliabilityBin } from './metrics/probability.js';
import { brierScore, negativeLogLikelihood } from './metrics/probability.js';
import type { Confident, Scored } from './metrics/probability.js';
import { averageRetrieval, retrievalRecall, type Retrieval } from './metrics/retrieval.js';
import { intervalsOf, type Headline } from './intervals.js';
import { measureClusters, type MeasuredClusters } from './measure-clusters.js';
import { measureRetrieval } from './measure-retrieval.js';
import { accuracyByRule, type RuleAccuracy } from './rule-table.js';

export interface FullReportOptions extends EvaluateOptions {
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
  readonly brier: number;
  readonly nll: number;
  readonly bins: readonly ReliabilityBin[];
}

export interface FullReport extends EvaluateReport {
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
  /** 95 %, by bootstrap over the images. */
  readonly intervals: Readonly<Record<Headline, Interval>>;
  readonly indexRecallInterval: Interval | undefined;
}

const recallKs = [1, 5, 10];

/** Everything that can be said of an index on labelled images that it does not hold. */
export async function fullReport(options: FullReportOptions): Promise<FullReport> {
  const { queries, truths, examples, exact, seed, progress } = options;
  const core = await evaluate(options);
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
        interval: ofMean(retrieved.map(({ firstHit }) => (firstHit <= k ? 1 : 0))),
      })),
    },
    clusters: measureClusters({ embeddings: queries, labels: truths, seed }),
    probability: probabilityOf(confident, scored),
    intervals: intervalsOf({ judged, scored, confident, retrieved, seed }),
    indexRecallInterval:
      core.indexRecall && ofMean(indexRecalls(found.served, found.exact, core.indexRecall.k)),
  };
}

function probabilityOf(confident: readonly Confident[], scored: readonly Scored[]): ProbabilityReport {
  const bins = reliabilityBins(confident);
  return {
    ece: expectedCalibrationError(bins),
    brier: brierScore(scored),
    nll: negativeLogLikelihood(scored),
    bins,
  };
}
