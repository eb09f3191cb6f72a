import { isAbsolute, relative, resolve, sep } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import { withEncoder, type EmbeddingOptions } from '../embed/embed-dataset.js';
import { readEncoderManifest } from '../encoder/load.js';
import type { EncoderManifest } from '../encoder/manifest.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { limitPerClass } from '../image/dataset/sample.js';
import { resolveShipped } from '../pair.js';
import { buildIndex, type BuildIndexOptions } from './build-index.js';
import type { BuildReport } from './build-report.js';

export interface BuildOptions
  extends
    EmbeddingOptions,
    Pick<
      BuildIndexOptions,
      'out' | 'hnsw' | 'minRecall' | 'maxRejects' | 'strict' | 'keep' | 'dropChanges' | 'now'
    > {
  /** Labelled images. */
  readonly data: string;
  /** Of CIFAR files. */
  readonly split: 'train' | 'test';
  /** Folder of the encoder. */
  readonly encoder: string;
  /** Most images of each label, chosen by the seed of the graph. */
  readonly maxPerClass?: number | undefined;
  readonly maxImageBytes: number;
}

/** What a build works with. */
export interface BuildInputs {
  readonly encoderDir: string;
  readonly encoder: EncoderManifest;
  readonly dataset: Dataset;
}

/**
 * Opens what a build works with: whatever can be wrong with what was asked for is said before the long work.
 * @throws NearvoteError `dataset_*`, `encoder_*`, `usage`
 */
export async function openBuildInputs(options: BuildOptions): Promise<BuildInputs> {
  const { data, split, maxPerClass, hnsw } = options;
  checkOutside(options.out, data);
  const encoderDir = resolveShipped(options.encoder);
  const encoder = await readEncoderManifest(encoderDir);
  const all = await openDataset(data, { split, maxFileBytes: options.maxImageBytes });
  const dataset =
    maxPerClass === undefined ? all : await limitPerClass(all, { maxPerClass, seed: hnsw.seed });
  return { encoderDir, encoder, dataset };
}

/**
 * Builds an index of labelled images and publishes it in one step.
 * @throws NearvoteError `dataset_*`, `encoder_*`, `image_*` when strict, `recall_too_low`, `worker_failed`,
 * `output_unwritable`
 */
export async function build(
  options: BuildOptions,
  progress: Progress,
  opened?: BuildInputs,
): Promise<BuildReport> {
  const inputs = opened ?? (await openBuildInputs(options));
  return withEncoder({ ...options, ...inputs, progress }, (running) =>
    buildIndex({ ...options, ...running, ...inputs, progress }),
  );
}

/**
 * An index among the images would be taken for images of its own by the next build.
 * @throws NearvoteError `usage`
 */
function checkOutside(out: string, data: string): void {
  const way = relative(resolve(data), resolve(out));
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) return;
  throw new NearvoteError(
    'usage',
    `Expected --out to lie outside the images but ${out} is in ${data}; index/NAME is a usual place`,
  );
}
