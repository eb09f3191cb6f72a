import { counted } from '../evaluate/page/words.js';
import { fewestToReject } from '../vote/unknown.js';
import type { CalibrateReport } from './calibrate.js';

const mostNamed = 10;

/** What whoever uses a calibration should know of it, in sentences. */
export function calibrationWarnings(report: CalibrateReport): string[] {
  const { calibration, unseen, leftOut, trainedOn, replaces } = report;
  const { images, overlap, dataset } = calibration;
  const warnings: string[] = [];
  if (leftOut.images > 0) {
    const labels = counted(leftOut.labels.length, 'label');
    warnings.push(
      `the index has no example of ${named(leftOut.labels)}: ${counted(leftOut.images, 'image')} of ${labels} left out`,
    );
  }
  if (unseen.length > 0) {
    warnings.push(`no image has the label ${named(unseen)}: how sure such answers are was not measured`);
  }
  if (trainedOn > 0) {
    warnings.push(`the encoder was trained on ${trainedOn} of ${images} images: all of this is optimistic`);
  }
  if (overlap > 0) warnings.push(`${overlap} images are in the index: all of this is optimistic`);
  if (replaces !== undefined && (replaces.images > images || replaces.dataset !== dataset)) {
    const stale = replaces.stale ? ', which was stale' : '';
    warnings.push(
      `it takes the place of a calibration on ${counted(replaces.images, 'image')} of ${replaces.dataset}${stale}`,
    );
  }
  return warnings;
}

/** Why no image can be unknown by a calibration; undefined where one can be. */
export function nothingUnknown({ unknown }: CalibrateReport['calibration']): string | undefined {
  const { epsilon, threshold, familiarities } = unknown;
  if (threshold !== null) return undefined;
  return `no image can be unknown: epsilon ${epsilon} needs at least ${fewestToReject(epsilon)} images and there are ${familiarities.length}`;
}

function named(labels: readonly string[]): string {
  return `${labels.slice(0, mostNamed).join(', ')}${labels.length > mostNamed ? ', ...' : ''}`;
}
