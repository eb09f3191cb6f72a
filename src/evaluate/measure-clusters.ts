import { sampleRows } from '../build/sample-rows.js';
import type { Embeddings } from '../domain/embeddings.js';
import { seededRandom } from '../domain/seeded-random.js';
import { queriesOf } from '../neighbours/recall.js';
import { basicInterval, bootstrapEach, drawAgain, type Interval } from './metrics/bootstrap.js';
import { clusterAgreement, type ClusterAgreement } from './metrics/clustering.js';
import { kmeans, type Clusters } from './metrics/kmeans.js';

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
/** k-means finds a different optimum from each start: the tightest of these counts. */
const starts = 3;
/** What chance would give is a sum over all pairs of sizes: a thousand of them would take minutes where labels are many. */
const resamples = 200;

/** Clusters the images without their labels, by k-means, and asks how far the clusters are the labels. */
export function measureClusters({ embeddings, labels, seed }: MeasureClustersOptions): MeasuredClusters {
  const rows = sampleRows({ size: embeddings.count, count: mostImages, seed });
  const points = queriesOf(embeddings, rows);
  const truths = Array.from(rows, (row) => labels[row] ?? '');
  const clusters = new Set(truths).size;
  const random = seededRandom(seed);
  const found = Array.from({ length: starts }, () => kmeans(points, { clusters, random }));
  const tightest = found.reduce((best: Clusters, next) => (next.inertia < best.inertia ? next : best));
  const agreement = (drawn: readonly number[]): ClusterAgreement =>
    clusterAgreement(
      drawn.map((i) => truths[i] ?? ''),
      drawn.map((i) => tightest.assignments[i] ?? NaN),
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
