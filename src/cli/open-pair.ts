import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { servedCalibration, type ServedCalibration } from '../calibrate/calibration-file.js';
import { createClassifier, type Classifier } from '../classify.js';
import { readEncoderManifest } from '../encoder/load.js';
import type { EncoderManifest } from '../encoder/manifest.js';
import { createDecoder, type Decoder } from '../image/decode.js';
import type { Inference } from '../inference/inference.js';
import { createInferencePool } from '../inference/pool.js';
import { checkEncoder, openIndex, type OpenIndex } from '../examples/index-store.js';
import type { InferenceOptions, PairOptions } from './options.js';
import { applyCalibration, type VoteChoice } from './vote-choice.js';

/** An index, the encoder it was built with, and the workers that hold both. */
export interface OpenPair {
  readonly index: OpenIndex;
  readonly encoder: EncoderManifest;
  /** What lies beside the index, for this version and this encoder. */
  readonly calibration: ServedCalibration;
  readonly decoder: Decoder;
  readonly inference: Inference;
}

export interface OpenPairOptions extends PairOptions, InferenceOptions {
  readonly maxPixels: number;
  readonly maxQueue: number;
  /** In milliseconds; 30 s unless told. */
  readonly workerDeadline?: number;
  /** Other workers are serving meanwhile. */
  readonly besideOthers?: boolean;
  readonly onBatch?: (size: number) => void;
  readonly onRestart?: (reason: string) => void;
}

const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/** A path from the current folder; where nothing is there, what the package ships under that name. */
export function resolveShipped(path: string): string {
  const local = resolve(path);
  if (isAbsolute(path) || existsSync(local)) return local;
  const shipped = join(packageRoot, path);
  return existsSync(shipped) ? shipped : local;
}

/** The compiled entry of an inference worker. */
export const workerFile = new URL('../inference/worker.js', import.meta.url);

/**
 * Opens an index and its encoder as a pair and starts the workers.
 * @throws NearvoteError `index_*`, `encoder_*`
 */
export async function openPair(options: OpenPairOptions): Promise<OpenPair> {
  const root = resolveShipped(options.index);
  const index = await openIndex(root);
  const encoderDir = resolveShipped(join(options.models, index.manifest.encoder.name));
  const encoder = await readEncoderManifest(encoderDir);
  checkEncoder(index, encoder);
  const calibration = await servedCalibration(root, { version: index.version, encoder });
  const inference = await createInferencePool({
    workerFile,
    setup: { encoderDir, indexDir: index.dir, threads: options.threads, search: options.search },
    workers: options.workers,
    maxBatch: options.maxBatch,
    maxQueue: options.maxQueue,
    batchDeadlineMs: options.workerDeadline,
    besideOthers: options.besideOthers,
    onBatch: options.onBatch,
    onRestart: options.onRestart,
  });
  const decoder = createDecoder({ geometry: encoder.input.geometry, maxPixels: options.maxPixels });
  return { index, encoder, calibration, decoder, inference };
}

/** The classifier of a pair, with what a request without its own k and vote gets. */
export function classifierOf(
  { index, encoder, calibration, decoder, inference }: OpenPair,
  choice: VoteChoice,
): Classifier {
  return createClassifier({
    decoder,
    inference,
    index: { name: index.name, version: index.version, examples: index.examples },
    encoder: { name: encoder.name, version: encoder.version, dimension: encoder.output.dimension },
    defaults: choice.settings,
    calibration: applyCalibration(calibration, choice).calibration,
    createId: randomUUID,
  });
}
