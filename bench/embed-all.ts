import { asEmbeddings, type Embeddings } from '../src/domain/embeddings.js';
import { loadEncoder } from '../src/encoder/load.js';
import { createDecoder } from '../src/image/decode.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';

/** Embeddings `[n, dimension]` and labels of every image of a dataset's test split, in its order. */
export async function embedAll(
  encoderDir: string,
  folder: string,
): Promise<{ embeddings: Embeddings; labels: string[] }> {
  const encoder = await loadEncoder(encoderDir, { threads: 2 });
  const { input, output } = encoder.manifest;
  const decoder = createDecoder({ geometry: input.geometry });
  const dataset = await openDataset(folder, { split: 'test' });
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
