import type { Example } from '../domain/decision.js';
import type { EmbeddedDataset } from '../embed/embed-dataset.js';
import { counted } from './page/words.js';
import type { CalibratedReport } from './measure-confidence.js';

type Measured = Pick<EmbeddedDataset, 'images' | 'rejected' | 'trainedOn'>;

export interface EvaluateWarningsOptions {
  readonly known: Measured;
  readonly unknown: Measured | undefined;
  readonly examples: readonly Example[];
  /** Images that are all but identical to an example. */
  readonly duplicates: number;
  /** Where a calibration is served. */
  readonly calibrated?: Pick<CalibratedReport, 'of' | 'fittedOn'> | undefined;
}

const named = 10;

/** What makes the figures other than they look, in sentences. */
export function evaluateWarnings({
  known,
  unknown,
  examples,
  duplicates,
  calibrated,
}: EvaluateWarningsOptions): string[] {
  const inIndex = new Set(examples.map(({ label }) => label));
  const labelsOf = (images: EmbeddedDataset['images']): string[] =>
    [...new Set(images.map(({ label }) => label))].sort();
  const missing = labelsOf(known.images).filter((label) => !inIndex.has(label));
  const wrong = known.images.filter(({ label }) => !inIndex.has(label)).length;
  const familiar = labelsOf(unknown?.images ?? []).filter((label) => inIndex.has(label));
  return [
    ...(missing.length === 0
      ? []
      : [
          `the index has no example of ${list(missing)}: ${wrong === 1 ? 'the one image' : `all ${wrong} images`} of ${counted(missing.length, 'label')} ${wrong === 1 ? 'counts as a mistake' : 'count as mistakes'}, and retrieval leaves ${wrong === 1 ? 'it' : 'them'} out`,
        ]),
    ...trainedOnWarning('the encoder', known),
    ...(unknown === undefined ? [] : trainedOnWarning('the encoder', unknown, 'unknown images')),
    ...(duplicates === 0
      ? []
      : [
          `${duplicates} images are all but identical to an example: these figures are optimistic (nearvote audit --test looks for copies that were saved again, resized or mirrored, too)`,
        ]),
    ...(calibrated === undefined || calibrated.fittedOn === 0
      ? []
      : [
          calibrated.fittedOn === calibrated.of
            ? 'the calibration was fitted on all of these images: calibrated figures are optimistic'
            : `the calibration was fitted on ${calibrated.fittedOn} of these images: calibrated figures leave them out`,
        ]),
    ...(familiar.length === 0
      ? []
      : [`the index has examples of ${list(familiar)}, which are to be unknown: are they?`]),
    ...undecoded(known, 'images'),
    ...(unknown === undefined ? [] : undecoded(unknown, 'unknown images')),
  ];
}

/** That an encoder has seen what it is measured on, where it has. */
export function trainedOnWarning(
  encoder: string,
  { images, trainedOn }: Pick<EmbeddedDataset, 'images' | 'trainedOn'>,
  what = 'images',
): string[] {
  if (trainedOn === 0) return [];
  return [`${encoder} was trained on ${trainedOn} of ${images.length} ${what}: the figures are optimistic`];
}

function list(labels: readonly string[]): string {
  const rest = labels.length - named;
  return labels.slice(0, named).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function undecoded({ rejected }: Pick<EmbeddedDataset, 'rejected'>, what: string): string[] {
  const [first] = rejected;
  return first === undefined
    ? []
    : [`${rejected.length} ${what} could not be decoded, the first: ${first.id}: ${first.message}`];
}
