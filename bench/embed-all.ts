import { asEmbeddings, type Embeddings } from '../src/domain/embeddings.js';
import { loadEncoder } from '../src/encoder/load.js';
import { createDecoder } from '../src/image/decode.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { limitPerClass } from '../src/image/dataset/sample.js';

export interface EmbedAllOptions {
  readonly split?: 'train' | 'test';
  readonly maxPerClass?: number | undefined;
}

/** Embeddings `[n, dimension]` and labels of every image of a dataset's split, the test split unless told, in its order. */
export async function embedAll(
  encoderDir: string,
  folder: string,
  { split = 'test', maxPerClass }: EmbedAllOptions = {},
): Promise<{ embeddings: Embeddings; labels: string[] }> {
  const encoder = await loadEncoder(encoderDir, { threads: 2 });
  const { input, output } = encoder.manifest;
  const decoder = createDecoder({ geometry: input.geometry });
  const whole = await openDataset(folder, { split });
  const dataset = maxPerClass === undefined ? whole : await limitPerClass(whole, { maxPerClass, seed: 0 });
  const labels: string[] = [];
  const values = new Float32Array(dataset.size * output.dimension);
  let waiting: Uint8Array[] = [];
  let embedded = 0;
  const flush = async (): Promise<void> => {
    const batch = await encoder.embed(Buffer.concat(waiting), waiting.length);
    values.set(batch.values, embedded * output.dimension);
    embedded += waiting.length;
    waiting = [];
  };
  for await (const image of dataset.images()) {
    labels.push(image.label);
    waiting.push(await decoder.decode(await image.read()));
    if (waiting.length === 32) await flush();
  }
  if (waiting.length > 0) await flush();
  await encoder.close();
  return { embeddings: asEmbeddings(values, output.dimension), labels };
}
