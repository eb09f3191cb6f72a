import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import { commonImages, type CommonImages } from '../evaluate/common-images.js';
import { embedDataset, type EmbeddedDataset } from '../evaluate/embed-dataset.js';
import { createDecoder } from '../image/decode.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { createEncoderPool } from '../encoder/pool/pool.js';
import { createExactSearcher } from '../neighbours/exact.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import type { Searcher } from '../neighbours/searcher.js';
import type { CompareFlags } from './compare-options.js';
import type { CompareSide } from './compare-side.js';
import { createProgress } from './progress.js';

/** The data as both see it, and where each looks it up. */
export interface EmbeddedSides {
  readonly common: CommonImages;
  /** Both have the same encoder, so they see the data alike. */
  readonly oneEncoder: boolean;
  /** Images that neither could decode. */
  readonly rejected: EmbeddedDataset['rejected'];
  readonly a: SearchedExamples;
  readonly b: SearchedExamples;
}

interface SearchedExamples {
  readonly examples: readonly Example[];
  readonly exact: Searcher;
}

export interface EmbedSidesOptions {
  readonly sides: readonly [CompareSide, CompareSide];
  readonly dataset: Dataset;
  /** Present for two encoders. */
  readonly examples: Dataset | undefined;
  readonly flags: CompareFlags;
}

/** Embeds the data with the encoder of each, and for two encoders the examples too. */
export async function embedSides({
  sides,
  dataset,
  examples,
  flags,
}: EmbedSidesOptions): Promise<EmbeddedSides> {
  const datasets = examples === undefined ? [dataset] : [dataset, examples];
  const [a, b] = sides;
  const [dataOfA, examplesOfA] = await embedWith(a, datasets, flags);
  // Two indexes may have one encoder: what it makes of the images is the same.
  const same = a.encoder.sha256 === b.encoder.sha256 && a.encoderDir === b.encoderDir;
  const [dataOfB, examplesOfB] = same ? [dataOfA, examplesOfA] : await embedWith(b, datasets, flags);
  if (dataOfA === undefined || dataOfB === undefined) throw new TypeError('Expected the data of both');
  const rejectedByB = new Set(dataOfB.rejected.map(({ id }) => id));
  const threads = flags.workers * flags.threads;
  const embedded = {
    common: commonImages(dataOfA, dataOfB),
    oneEncoder: same,
    rejected: dataOfA.rejected.filter(({ id }) => rejectedByB.has(id)),
  };
  if (examplesOfA === undefined || examplesOfB === undefined) {
    return { ...embedded, a: await ofIndex(a, threads), b: await ofIndex(b, threads) };
  }
  const shared = commonImages(examplesOfA, examplesOfB);
  const labelled = shared.images.map(({ id, label, source }) => ({ id, label, source }));
  const among = async (embeddings: Embeddings): Promise<SearchedExamples> => ({
    examples: labelled,
    exact: await createExactSearcher({ embeddings, threads }),
  });
  return { ...embedded, a: await among(shared.a), b: await among(shared.b) };
}

async function ofIndex({ index }: CompareSide, threads: number): Promise<SearchedExamples> {
  if (index === undefined) throw new TypeError('Expected an index');
  return { examples: index.examples, exact: await openSearcher({ ...index, mode: 'exact', threads }) };
}

async function embedWith(
  { encoder, encoderDir }: CompareSide,
  datasets: readonly Dataset[],
  { workers, threads, maxBatch, maxPixels }: CompareFlags,
): Promise<EmbeddedDataset[]> {
  const inFlight = 4 * maxBatch * workers;
  const pool = await createEncoderPool({
    ...{ encoderDir, manifest: encoder, workers, threads, maxBatch, maxQueue: inFlight },
  });
  const decoder = createDecoder({ geometry: encoder.input.geometry, maxPixels });
  try {
    const embedded: EmbeddedDataset[] = [];
    for (const dataset of datasets) {
      embedded.push(
        await embedDataset({ dataset, encoder, decoder, pool, inFlight, progress: createProgress() }),
      );
    }
    return embedded;
  } finally {
    await pool.close();
  }
}
