/* How far AMI moves with the seed, by k-means starts.  npx tsx bench/clusters.ts ENCODER IMAGES [seeds] */
import { markdownTable } from '../src/domain/markdown-table.js';
import { seededRandom } from '../src/domain/seeded-random.js';
import { measureClusters } from '../src/evaluate/measure-embeddings.js';
import { clusterAgreement } from '../src/evaluate/metrics/clustering.js';
import { kmeans } from '../src/evaluate/metrics/kmeans.js';
import { embedAll } from './embed-all.js';

const [, , encoder = 'models/cifar10-compact', images = '../shared/data/cifar10', wanted = '10'] =
  process.argv;
const { embeddings, labels } = await embedAll(encoder, images);
const clusters = new Set(labels).size;

const rows = [1, 3, 10].map((starts) => {
  const started = performance.now();
  const found = Array.from({ length: Number(wanted) }, (_, seed) => {
    const { assignments } = kmeans(embeddings, { clusters, starts, random: seededRandom(seed + 1) });
    return clusterAgreement(labels, assignments).ami;
  });
  const seconds = (performance.now() - started) / 1000 / found.length;
  const mean = found.reduce((sum, ami) => sum + ami, 0) / found.length;
  const [least, most] = [Math.min(...found), Math.max(...found)];
  return [
    String(starts),
    ...[mean, least, most, most - least].map((one) => one.toFixed(4)),
    seconds.toFixed(1),
  ];
});
const { ami, intervals } = measureClusters({ embeddings, labels, seed: 0 });
console.log(
  `evaluate, seed 0: AMI ${ami.toFixed(4)} (${intervals.ami.low.toFixed(4)} to ${intervals.ami.high.toFixed(4)})`,
);
console.log(`${labels.length} images of ${clusters} labels, ${wanted} seeds`);
console.log(markdownTable(['starts', 'mean AMI', 'least', 'most', 'most - least', 's'], rows));
