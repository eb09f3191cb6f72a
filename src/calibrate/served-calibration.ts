import { NearvoteError } from '../domain/errors.js';
import { readCalibration } from './calibration-file.js';
import type { CalibrationFile } from './calibration-schema.js';

/** What becomes of the calibration beside an index. */
export type ServedCalibration =
  | { readonly kind: 'active'; readonly calibration: CalibrationFile }
  | { readonly kind: 'absent' }
  /** There is one, and it must not be used; the reason is for a log. */
  | { readonly kind: 'ignored'; readonly reason: string };

/** The index version and encoder that are to be served. */
export interface ServedPair {
  readonly version: string;
  readonly encoder: { readonly name: string; readonly sha256: string };
}

/**
 * The calibration of `index/<name>` where it was fitted for this very pair: another index or encoder has other
 * similarities. Never throws: a pair without a calibration serves as well.
 */
export async function servedCalibration(root: string, pair: ServedPair): Promise<ServedCalibration> {
  let calibration: CalibrationFile | undefined;
  try {
    calibration = await readCalibration(root);
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    return { kind: 'ignored', reason: error.message };
  }
  if (calibration === undefined) return { kind: 'absent' };
  const { index, encoder } = calibration;
  if (index.version !== pair.version) {
    return {
      kind: 'ignored',
      reason: `Expected a calibration for index version ${pair.version} but it is for ${index.version}; calibrate again`,
    };
  }
  if (encoder.sha256 !== pair.encoder.sha256) {
    return {
      kind: 'ignored',
      reason: `Expected a calibration for encoder ${pair.encoder.name} with sha256 ${pair.encoder.sha256} but it is for ${encoder.name} with ${encoder.sha256}; calibrate again`,
    };
  }
  return { kind: 'active', calibration };
}
