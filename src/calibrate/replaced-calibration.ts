import { NearvoteError } from '../domain/errors.js';
import { servedCalibration, type CalibrationFile, type ServedPair } from '../examples/calibration-file.js';
import type { IndexState } from '../neighbours/neighbours.js';
import { calibrationAge } from '../vote/calibration.js';

export interface ReplacedCalibration extends Pick<CalibrationFile, 'images' | 'dataset'> {
  readonly stale: boolean;
}

export interface ReplacementChoice {
  /** Whether the calibration in place is replaced, however good it is. */
  readonly replace: boolean;
  /** What whoever asks for that types. */
  readonly replaceBy: '--force' | '?replace=true';
  /** Share of changed examples past which the one in place is stale; a fifth unless told. */
  readonly staleAfter?: number | undefined;
}

export interface ReplacementParts extends ReplacementChoice {
  readonly root: string;
  readonly pair: ServedPair;
  readonly state: IndexState;
}

/**
 * Which calibration a new one takes the place of; undefined where none is in use.
 * @throws NearvoteError `dataset_invalid` where that is not stale and was fitted on more images, or can call images
 * unknown and the new one cannot
 */
export async function replacedBy(
  next: CalibrationFile,
  { root, pair, state, replace, replaceBy, staleAfter }: ReplacementParts,
): Promise<ReplacedCalibration | undefined> {
  const held = await servedCalibration(root, pair);
  if (held.kind !== 'active') return undefined;
  const { images, dataset, unknown } = held.calibration;
  const { stale } = calibrationAge(held.origin, state, staleAfter);
  const canReject = unknown.threshold !== null && next.unknown.threshold === null;
  if (!stale && !replace && (images > next.images || canReject)) {
    const why =
      images > next.images ? '' : ', with which an image can be unknown, as it cannot be with these';
    throw new NearvoteError(
      'dataset_invalid',
      `Expected at least as many images as the calibration in use was fitted on, which are ${images} of ${dataset}${why}, ` +
        `but there are ${next.images}. Nothing was written; ${replaceBy} replaces it all the same`,
    );
  }
  return { images, dataset, stale };
}
