import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { sameImage } from '../evaluate/measure-accuracy.js';
import type { NearestRows } from '../neighbours/searcher.js';
import type { Calibration } from '../vote/calibration.js';
import { fewestToReject, thresholdOf } from '../vote/unknown.js';

/**
 * Refuses labels that an index cannot be calibrated on, before anything is embedded; some that it lacks may be among
 * them.
 * @throws NearvoteError `dataset_invalid`
 */
export function checkLabels(labels: Iterable<string>, indexLabels: Iterable<string>): void {
  const all = new Set(labels);
  const known = new Set(indexLabels);
  if (all.size === 0) throw invalid('Expected labelled images but received none');
  const wanted = new Set([...all].filter((label) => known.has(label)));
  if (wanted.size === 0) {
    throw invalid(
      `Expected labels that the index has, ${listed([...known])}, but received only ${listed([...all])}`,
    );
  }
  const [first = ''] = wanted;
  if (wanted.size === 1) {
    throw invalid(`Expected images of at least two labels but received ${JSON.stringify(first)} alone`);
  }
}

/**
 * Refuses too few images, once those that cannot be decoded are left out.
 * @throws NearvoteError `dataset_invalid`
 */
export function checkCount(count: number, k: number): void {
  if (count < k) throw invalid(`Expected at least as many images as k, which is ${k}, but received ${count}`);
}

/**
 * Refuses a calibration that neither knows better how often the vote is right nor could call anything unknown.
 * @throws NearvoteError `dataset_invalid`
 */
export function checkHelps({ confidence, unknown }: Pick<Calibration, 'confidence' | 'unknown'>): void {
  if (confidence.kind !== 'share' || thresholdOf(unknown) !== undefined) return;
  throw invalid(
    `Expected images on which a calibration helps, but by cross-validation no confidence is better than the share of the vote, ` +
      `and to call an image unknown at epsilon ${unknown.epsilon} takes at least ${fewestToReject(unknown.epsilon)} images and ` +
      `there are ${unknown.familiarities.length}. Nothing was written`,
  );
}

function listed(labels: readonly string[]): string {
  return labels.length > 10 ? `${labels.slice(0, 10).join(', ')}, ...` : labels.join(', ');
}

function invalid(message: string): NearvoteError {
  return new NearvoteError('dataset_invalid', message);
}

export interface Overlap {
  /** Images with the label and source of an example. */
  readonly sameSource: number;
  /** Images all but identical to an example. */
  readonly samePicture: number;
  /** Either, each once. */
  readonly images: number;
}

/** How many images the index holds already. */
export function overlapOf(options: {
  readonly images: readonly Pick<Example, 'label' | 'source'>[];
  /** Absent before anything was embedded: pictures are not compared. */
  readonly found?: NearestRows | undefined;
  readonly examples: readonly Example[];
}): Overlap {
  const { images, found, examples } = options;
  // As JSON, for a separator might be part of either.
  const keyOf = ({ label, source }: Pick<Example, 'label' | 'source'>): string =>
    JSON.stringify([label, source]);
  const known = new Set(examples.map(keyOf));
  let [sameSource, samePicture, either] = [0, 0, 0];
  for (const [i, image] of images.entries()) {
    const isSameSource = known.has(keyOf(image));
    const isSamePicture = found !== undefined && (found.similarities[i * found.k] ?? NaN) >= sameImage;
    if (isSameSource) sameSource++;
    if (isSamePicture) samePicture++;
    if (isSameSource || isSamePicture) either++;
  }
  return { sameSource, samePicture, images: either };
}

/** @throws NearvoteError `dataset_overlaps` where there is any overlap */
export function refuseOverlap({ sameSource, samePicture, images }: Overlap, total: number): void {
  if (images === 0) return;
  throw new NearvoteError(
    'dataset_overlaps',
    `Expected images that the index has not seen but ${images} of ${total} are in it already: ${sameSource} by label and ` +
      `source${samePicture === 0 ? '' : `, ${samePicture} as all but the same picture`}. A calibration on them would promise too much; --force does it all the same`,
  );
}
