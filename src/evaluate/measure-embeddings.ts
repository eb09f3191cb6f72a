import type { Progress } from '../domain/progress.js';
import { sampleRows } from '../domain/seeded-random.js';
import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import { seededRandom } from '../domain/seeded-random.js';
import { queriesOf } from '../neighbours/recall.js';
import type { Searcher } from '../neighbours/searcher.js';
import { basicInterval, bootstrapEach, drawAgain, type Interval } from './metrics/intervals.js';
import { clusterAgreement, type ClusterAgreement } from './metrics/clustering.js';
import { kmeans } from './metrics/kmeans.js';
import { scoreRetrieval, type QueryRetrieval } from './metrics/retrieval.js';

export interface MeasureRetrievalOptions {
  readonly queries: Embeddings;
  /** The true label of each query. */
  readonly truths: readonly string[];
  readonly examples: readonly Example[];
  readonly exact: Searcher;
  /** Retrieval recall is asked for up to this k. */
  readonly mostRecall: number;
  readonly progress: Progress;
}

export interface MeasuredRetrieval {
  /** Of each query that is not lone, in order. */
  readonly scores: readonly QueryRetrieval[];
  /** Queries whose label no example has. */
  readonly lone: number;
}

/** R can be thousands: the neighbours of so many queries are held at once. */
const queriesPerSearch = 256;

/** Scores the retrieval of every query by exact search as deep as its label has examples: the encoder's own figures. */
export async function measureRetrieval(options: MeasureRetrievalOptions): Promise<MeasuredRetrieval> {
  const { queries, truths, examples, exact, mostRecall, progress } = options;
  const sameLabel = new Map<string, number>();
  for (const { label } of examples) sameLabel.set(label, (sameLabel.get(label) ?? 0) + 1);
  const deepest = new Set(truths.map((truth) => sameLabel.get(truth) ?? 0));
  const k = Math.min(Math.max(mostRecall, ...deepest), examples.length);

  const scores: QueryRetrieval[] = [];
  let lone = 0;
  progress.start({ name: 'retrieval', total: queries.count, unit: 'queries' });
  for (let start = 0; start < queries.count; start += queriesPerSearch) {
    const chunk = rowsBetween(queries, start, Math.min(start + queriesPerSearch, queries.count));
    const { rows } = await exact.search(chunk, k);
    for (let query = 0; query < chunk.count; query++) {
      const label = truths[start + query] ?? '';
      const neighbours = Array.from(
        rows.subarray(query * k, (query + 1) * k),
        (row) => examples[row]?.label ?? '',
      );
      const score = scoreRetrieval({ label, neighbours, sameLabel: sameLabel.get(label) ?? 0 });
      if (score === undefined) lone++;
      else scores.push(score);
    }
    progress.advance(chunk.count);
  }
  progress.finish();
  return { scores, lone };
}

function rowsBetween(embeddings: Embeddings, start: number, end: number): Embeddings {
  const { dimension, values } = embeddings;
  return { ...embeddings, count: end - start, values: values.subarray(start * dimension, end * dimension) };
}

export interface MeasuredClusters extends ClusterAgreement {
  /** As many as there are labels among the images. */
  readonly clusters: number;
  /** All, or a seeded sample of 10,000. */
  readonly images: number;
  /** 95 %, by bootstrap over the images with the clusters as they were found. */
  readonly intervals: Readonly<Record<keyof ClusterAgreement, Interval>>;
}

export interface MeasureClustersOptions {
  readonly embeddings: Embeddings;
  /** The true label of each image. */
  readonly labels: readonly string[];
  readonly seed: number;
}

const mostImages = 10_000;
/** What chance would give is a sum over all pairs of sizes: a thousand of them would take minutes where labels are many. */
const resamples = 200;

/** Clusters the images without their labels, by k-means, and asks how far the clusters are the labels. */
export function measureClusters({ embeddings, labels, seed }: MeasureClustersOptions): MeasuredClusters {
  const rows = sampleRows({ size: embeddings.count, count: mostImages, seed });
  const points = queriesOf(embeddings, rows);
  const truths = Array.from(rows, (row) => labels[row] ?? '');
  const clusters = new Set(truths).size;
  const { assignments } = kmeans(points, { clusters, random: seededRandom(seed) });
  const agreement = (drawn: readonly number[]): ClusterAgreement =>
    clusterAgreement(
      drawn.map((i) => truths[i] ?? ''),
      drawn.map((i) => assignments[i] ?? NaN),
    );
  const all = [...truths.keys()];
  const again = seededRandom(seed);
  const { nmi, ami } = agreement(all);
  const drawn = bootstrapEach(['nmi', 'ami'], () => agreement(drawAgain(all, again)), { resamples });
  return {
    ...{ clusters, images: truths.length, nmi, ami },
    intervals: { nmi: basicInterval(nmi, drawn.nmi), ami: basicInterval(ami, drawn.ami) },
  };
}
