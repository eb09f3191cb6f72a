import { stat } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { NearvoteError } from '../../domain/errors.js';
import { readImageFile, type LabelledImage } from './dataset.js';
import { openFolder } from './folder.js';
import { countImages, walkImages } from './walk-images.js';

export interface LabelledFilesOptions {
  /** Image files, and folders of them. */
  readonly paths: readonly string[];
  /** Of all of them; unless told, each path is a folder that holds a folder for each label. */
  readonly label?: string | undefined;
  readonly maxFileBytes: number;
}

/** Image files and what they show; none is read yet. */
export interface LabelledFiles {
  readonly size: number;
  /** Files that are no images by their names or kind, by what that is. */
  readonly passedOver: ReadonlyMap<string, number>;
  /** Files that lie where a label would be told by a folder but none is: they are left out. */
  readonly unlabelled: readonly string[];
  /** An image's `id` is its path as it was named or found; its `source` tells nothing of the machine. */
  images(): AsyncIterable<LabelledImage>;
}

/**
 * Finds the image files below what was named, however deep.
 * @throws NearvoteError `image_missing` where there are none, `usage` for a file without a label, `dataset_invalid` for a
 * folder without folders of labels
 */
export async function openLabelledFiles(options: LabelledFilesOptions): Promise<LabelledFiles> {
  const { paths, label } = options;
  return label === undefined ? openFolders(options) : openFiles({ ...options, label, paths });
}

async function openFiles({
  paths,
  label,
  maxFileBytes,
}: LabelledFilesOptions & { readonly label: string }): Promise<LabelledFiles> {
  const passedOver = new Map<string, number>();
  const size = await countImages(paths, { passedOver });
  if (size === 0) {
    throw new NearvoteError('image_missing', `Expected images in ${paths.join(', ')} but there are none`);
  }
  return {
    ...{ size, passedOver, unlabelled: [] },
    images: async function* () {
      for (const root of paths) {
        for await (const { path, fault } of walkImages([root])) {
          yield {
            ...{ id: path, label },
            source: path === root ? basename(path) : relative(root, path),
            read: () => {
              if (fault === undefined) return readImageFile({ id: path, path, maxBytes: maxFileBytes });
              throw new NearvoteError(
                'image_missing',
                `Expected to read ${path} but it cannot be read (${fault})`,
              );
            },
          };
        }
      }
    },
  };
}

async function openFolders({ paths, maxFileBytes }: LabelledFilesOptions): Promise<LabelledFiles> {
  const folders: Awaited<ReturnType<typeof openFolder>>[] = [];
  for (const path of paths) {
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) {
      throw new NearvoteError('image_missing', `Expected images or folders of them but there is no ${path}`);
    }
    if (!stats.isDirectory()) {
      throw new NearvoteError(
        'usage',
        `Expected --label, which says what ${path} shows, or a folder that holds a folder for each label`,
      );
    }
    folders.push(await openFolder(path, { maxFileBytes, unlabelled: false }).catch(explained));
  }
  const passedOver = new Map<string, number>();
  for (const folder of folders) {
    for (const [what, count] of folder.passedOver ?? []) {
      passedOver.set(what, (passedOver.get(what) ?? 0) + count);
    }
  }
  return {
    passedOver,
    size: folders.reduce((sum, { size }) => sum + size, 0),
    unlabelled: folders.flatMap(({ unlabelled = [] }) => unlabelled),
    images: async function* () {
      for (const [i, folder] of folders.entries()) {
        for await (const image of folder.images()) yield { ...image, id: `${paths[i] ?? ''}/${image.id}` };
      }
    },
  };
}

function explained(error: unknown): never {
  if (!(error instanceof NearvoteError) || error.code !== 'dataset_invalid') throw error;
  const hint = '; --label gives all the images of a folder one label';
  throw new NearvoteError(error.code, `${error.message}${hint}`, { cause: error });
}
