import type { Progress } from '../domain/progress.js';
import { withEncoder, type EmbeddingOptions } from '../embed/embed-dataset.js';
import { embedImages } from '../embed/embed-images.js';
import type { LabelledImage } from '../image/dataset/dataset.js';
import type { LabelledFiles } from '../image/dataset/labelled-files.js';
import { keptPicture, type KeptPicture } from '../image/kept-picture.js';
import type { NewExample } from '../neighbours/changes.js';
import type { EmbeddedIndex } from '../neighbours/embedded-index.js';
import { findEncoder } from '../pair.js';
import { withWritableIndex } from '../neighbours/writable-index.js';
import { createTeaching, type Taught } from './taught.js';

export interface TeachIndexOptions extends EmbeddingOptions {
  /** `index/<name>`. */
  readonly root: string;
  /** Folder in which its encoder is looked for by its name. */
  readonly models: string;
  readonly files: LabelledFiles;
  /** Of a single image; made from it and its label unless told. */
  readonly id?: string | undefined;
  readonly reason: string | null;
  readonly who: string | null;
  readonly now: () => Date;
  /** Stops after the images at hand. */
  readonly signal?: AbortSignal | undefined;
}

/** Images that are added at once, and the bytes of their pictures: all of them are held until then. */
const most = { images: 256, bytes: 32_000_000 };

/**
 * Makes image files examples of an index that no process serves with leave to change it, as `POST /examples` does: one
 * operation, appended in parts, so that no more than a few hundred images are held. An image that cannot be decoded, or is
 * an example of another label already, is left out and told.
 * @throws NearvoteError `index_readonly`, `index_*`, `encoder_*`, `worker_failed`, `output_unwritable`, and, where no image
 * can be added, what the first was refused with
 */
export function teachIndex(options: TeachIndexOptions, progress: Progress): Promise<Taught> {
  const { models } = options;
  return withWritableIndex(options, async ({ index, published }) => {
    const { encoder, encoderDir } = await findEncoder(published, models);
    return withEncoder({ ...options, encoder, encoderDir, progress }, async (running) => {
      const pictures = new Map<string, KeptPicture>();
      const embedded = embedImages(withPictures(options.files, pictures), {
        ...running,
        geometry: encoder.input.geometry,
      });
      return addAll(index, { ...options, embedded, pictures, progress });
    });
  });
}

interface AddAllOptions extends TeachIndexOptions {
  readonly embedded: ReturnType<typeof embedImages>;
  /** By the image's id. */
  readonly pictures: Map<string, KeptPicture>;
  readonly progress: Progress;
}

async function addAll(index: EmbeddedIndex, options: AddAllOptions): Promise<Taught> {
  const { files, embedded, pictures, id, reason, who, signal, progress } = options;
  const teaching = createTeaching(index.sequence);
  let waiting: { readonly file: string; readonly example: NewExample }[] = [];
  let bytes = 0;
  async function add(): Promise<void> {
    const examples = waiting.map(({ example }) => example);
    const continues = teaching.operation;
    const changed = await index.change({ kind: 'add', examples, reason, who, continues });
    teaching.made(
      waiting.map(({ file }) => file),
      changed,
    );
    waiting = [];
    bytes = 0;
  }
  progress.start({ name: 'teaching', total: files.size, unit: 'images' });
  try {
    for await (const one of embedded) {
      progress.advance(1);
      const file = one.image.id;
      const picture = pictures.get(file);
      pictures.delete(file);
      if (one.kind === 'rejected') {
        if (waiting.length > 0) await add();
        teaching.settle(file, { outcome: 'refused', code: one.code, message: one.message });
        continue;
      }
      const { label, source } = one.image;
      const { embedding } = one;
      const digest = one.digest.toString('hex');
      waiting.push({ file, example: { id, label, source, digest, embedding, picture } });
      bytes += picture?.bytes.byteLength ?? 0;
      if (waiting.length >= most.images || bytes >= most.bytes) await add();
      if (signal?.aborted === true) break;
    }
    if (waiting.length > 0) await add();
  } catch (error) {
    throw teaching.interrupted(error);
  }
  progress.finish();
  return teaching.result();
}

/** Makes an image's picture when it is read: its bytes are held no longer than that. */
async function* withPictures(
  files: LabelledFiles,
  pictures: Map<string, KeptPicture>,
): AsyncGenerator<LabelledImage> {
  const seen = new Set<string>();
  for await (const image of files.images()) {
    // Named twice, it would be another image's picture.
    if (seen.has(image.id)) continue;
    seen.add(image.id);
    yield {
      ...image,
      read: async () => {
        const content = await image.read();
        if (content.kind === 'file') pictures.set(image.id, await keptPicture(content.bytes));
        return content;
      },
    };
  }
}
