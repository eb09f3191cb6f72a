import { resolve } from 'node:path';
import type { Dataset, LabelledImage } from './dataset.js';
import { countLabels } from './label-counts.js';
import { readImageFile } from './read-image-file.js';

export interface FileList {
  readonly name: string;
  /** What the ids are relative to. */
  readonly folder: string;
  readonly ids: readonly string[];
  /** One for each id. */
  readonly labels: readonly string[];
  readonly maxFileBytes: number;
}

/** A dataset of image files that are opened one by one, each when it is read. */
export function fileDataset({ name, folder, ids, labels, maxFileBytes }: FileList): Dataset {
  const image = (id: string, label: string): LabelledImage => ({
    id,
    label,
    source: id,
    read: () => readImageFile({ id, path: resolve(folder, id), maxBytes: maxFileBytes }),
  });

  return {
    name,
    size: ids.length,
    labelCounts: countLabels(labels),
    images: () => ({
      [Symbol.asyncIterator]() {
        let at = 0;
        return {
          next() {
            const [id, label] = [ids[at], labels[at]];
            at++;
            if (id === undefined || label === undefined)
              return Promise.resolve({ done: true, value: undefined });
            return Promise.resolve({ done: false, value: image(id, label) });
          },
        };
      },
    }),
  };
}
