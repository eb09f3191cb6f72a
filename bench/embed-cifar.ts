import { asEmbeddings, type Embeddings } from '../src/domain/embeddings.js';
import { loadEncoder } from '../src/encoder/load.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';

export interface EmbeddedCifar {
  readonly ids: readonly string[];
  readonly labels: readonly string[];
  /** Of each image, `[32, 32, 3]`. */
  readonly pixels: readonly Uint8Array[];
  readonly embeddings: Embeddings;
}

const batch = 32;

/** Embeds a split of CIFAR-10's binary files in this process. */
export async function embedCifar(
  folder: string,
  split: 'train' | 'test',
  encoderDir = 'models/cifar10-compact',
): Promise<EmbeddedCifar> {
  const encoder = await loadEncoder(encoderDir, { threads: 2 });
  const dataset = await openDataset(folder, { split });
  const { dimension } = encoder.manifest.output;
  const values = new Float32Array(dataset.size * dimension);
  const ids: string[] = [];
  const labels: string[] = [];
  const pixels: Uint8Array[] = [];
  let embedded = 0;
  const embedWaiting = async (): Promise<void> => {
    const waiting = pixels.slice(embedded);
    const joined = new Uint8Array(Buffer.concat(waiting));
    values.set((await encoder.embed(joined, waiting.length)).values, embedded * dimension);
    embedded = pixels.length;
  };
  for await (const image of dataset.images()) {
    const content = await image.read();
    if (content.kind !== 'pixels') throw new Error('expected the CIFAR binary files');
    ids.push(image.id);
    labels.push(image.label);
    pixels.push(content.pixels);
    if (pixels.length - embedded === batch) await embedWaiting();
  }
  if (pixels.length > embedded) await embedWaiting();
  await encoder.close();
  return { ids, labels, pixels, embeddings: asEmbeddings(values, dimension) };
}
