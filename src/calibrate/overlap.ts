import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { sameImage } from '../evaluate/evaluate.js';
import type { NearestRows } from '../neighbours/searcher.js';

export interface Overlap {
  /** Images with the id, label and source of an example. */
  readonly sameId: number;
  /** Images all but identical to an example. */
  readonly samePicture: number;
  /** Either, each once. */
  readonly images: number;
}

/** How many images the index holds already. */
export function overlapOf(options: {
  readonly images: readonly Example[];
  readonly found: NearestRows;
  readonly examples: readonly Example[];
}): Overlap {
  const { images, found, examples } = options;
  // As JSON, for a separator might be part of an id.
  const keyOf = ({ id, label, source }: Example): string => JSON.stringify([id, label, source]);
  const known = new Set(examples.map(keyOf));
  let [sameId, samePicture, either] = [0, 0, 0];
  for (const [i, image] of images.entries()) {
    const isSameId = known.has(keyOf(image));
    const isSamePicture = (found.similarities[i * found.k] ?? NaN) >= sameImage;
    if (isSameId) sameId++;
    if (isSamePicture) samePicture++;
    if (isSameId || isSamePicture) either++;
  }
  return { sameId, samePicture, images: either };
}

/** @throws NearvoteError `dataset_overlaps` where there is any overlap */
export function refuseOverlap({ sameId, samePicture, images }: Overlap, total: number): void {
  if (images === 0) return;
  throw new NearvoteError(
    'dataset_overlaps',
    `Expected images that the index has not seen but ${images} of ${total} are in it already: ${sameId} by id, label ` +
      `and source, ${samePicture} as all but the same picture. A calibration on them would promise too much; --force does it all the same`,
  );
}
