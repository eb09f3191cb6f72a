import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { seededRandom } from '../domain/seeded-random.js';
import { createExactSearcher } from '../neighbours/exact.js';
import type { Searcher } from '../neighbours/searcher.js';
import type { VoteOptions } from '../vote/vote.js';
import type { EmbeddedDataset } from '../embed/embed-dataset.js';
import { answersOf, sameImage, type Answer } from './measure-accuracy.js';
import { bootstrapEach, type Interval } from './metrics/intervals.js';
import {
  auprc,
  auroc,
  detectionDraws,
  falsePositivesAt,
  rocCurve,
  thinCurve,
  type DetectionDraw,
  type DetectionScores,
  type OperatingPoint,
  type RocPoint,
} from './metrics/detection.js';

/** How well a score, higher for known images, tells them from unknown ones; known is the positive class. */
interface UnknownRuleFigures {
  /**
   * `similarity`: to the k-th neighbour (Sun et al. 2022, arXiv:2204.06507). `vote`: the top label's score (after
   * Hendrycks & Gimpel 2017, arXiv:1610.02136).
   */
  readonly rule: 'similarity' | 'vote';
  readonly auroc: number;
  readonly aupr: number;
  /** FPR at 95 % TPR, and its threshold. */
  readonly at95: OperatingPoint;
  /** 95 %, known and unknown images drawn anew, each among themselves. */
  readonly intervals: Readonly<Record<keyof DetectionDraw, Interval>>;
  /** The ROC, thinned for drawing. */
  readonly roc: readonly RocPoint[];
}

interface MeasureUnknownOptions {
  readonly known: readonly Answer[];
  readonly unknown: readonly Answer[];
  readonly seed: number;
}

const scoreOf = {
  similarity: ({ kthSimilarity }: Answer) => kthSimilarity,
  vote: ({ confidence }: Answer) => confidence,
};

/** Measures both rules on the same answers. */
function measureUnknown({ known, unknown, seed }: MeasureUnknownOptions): UnknownRuleFigures[] {
  return (['similarity', 'vote'] as const).map((rule) => {
    const scores: DetectionScores = {
      known: known.map(scoreOf[rule]),
      unknown: unknown.map(scoreOf[rule]),
    };
    return {
      rule,
      auroc: auroc(scores),
      aupr: auprc(scores),
      at95: falsePositivesAt(scores),
      intervals: bootstrapEach(
        ['auroc', 'aupr', 'falsePositives'],
        detectionDraws(scores, seededRandom(seed)),
        {},
      ),
      roc: thinCurve(rocCurve(scores)),
    };
  });
}

export interface UnknownReport {
  /** Images of no label of the index. */
  readonly images: number;
  /** The k of the similarity to the k-th neighbour, and of the vote. */
  readonly k: number;
  readonly rules: readonly UnknownRuleFigures[];
  /** What is served for each, in order. */
  readonly answers: readonly Answer[];
}

export interface UnknownReportOptions {
  /** What was served for each of the known images. */
  readonly known: readonly Answer[];
  /** Images of no label of the index. */
  readonly unknown: Embeddings;
  readonly examples: readonly Example[];
  /** The search that is served. */
  readonly served: Searcher;
  /** As the known images were voted on; at most the size of the index. */
  readonly k: number;
  readonly vote: VoteOptions;
  readonly seed: number;
}

/** How well unknown images can be told from known ones by what is served. */
export async function unknownReport(options: UnknownReportOptions): Promise<UnknownReport> {
  const { known, unknown, examples, served, k, vote, seed } = options;
  const found = await served.search(unknown, k);
  const answers = answersOf({ found, examples }, k, vote);
  return { images: unknown.count, k, rules: measureUnknown({ known, unknown: answers, seed }), answers };
}

export interface CheckUnknownOptions {
  /** Images that are to be of no label of the index. */
  readonly unknown: Pick<EmbeddedDataset, 'images' | 'embeddings'>;
  /** The images they are to be told from. */
  readonly known: Pick<EmbeddedDataset, 'images' | 'embeddings'>;
  readonly examples: readonly Example[];
  /** Over the examples. */
  readonly exact: Searcher;
  readonly threads: number;
}

/**
 * Makes sure that unknown images are neither in the index nor among the known ones: not by their place in
 * the dataset, and not by an embedding that is all but identical.
 * @throws NearvoteError `dataset_invalid` naming the first that is
 */
export async function checkUnknown(options: CheckUnknownOptions): Promise<void> {
  const { unknown, known, examples, exact, threads } = options;
  const sources = new Map([
    ...known.images.map(({ source }) => [source, 'image of the data'] as const),
    ...examples.map(({ source }) => [source, 'example of the index'] as const),
  ]);
  const nearestExamples = (await exact.search(unknown.embeddings, 1)).similarities;
  const among = await createExactSearcher({ embeddings: known.embeddings, threads });
  const nearestKnown = (await among.search(unknown.embeddings, 1)).similarities;
  await among.close();
  const overlaps = unknown.images.flatMap(({ id, source }, i) => {
    const owner = sources.get(source);
    if (owner !== undefined) return [`${id} has the path of an ${owner}`];
    const same =
      (nearestExamples[i] ?? NaN) >= sameImage
        ? 'example of the index'
        : (nearestKnown[i] ?? NaN) >= sameImage
          ? 'image of the data'
          : undefined;
    return same === undefined ? [] : [`${id} is all but identical to an ${same}`];
  });
  if (overlaps.length > 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected unknown images that are neither in the index nor in the data but ${overlaps.length} of ${unknown.images.length} are: ${overlaps[0] ?? ''}`,
    );
  }
}
