import Table from 'cli-table3';
import type { CalibrationFile } from '../calibrate/calibration-file.js';
import type { FittedCalibration } from '../calibrate/fit-calibration.js';
import type { MeasuredConfidence } from '../evaluate/measure-confidence.js';
import { confidenceRows, percent } from '../evaluate/page/words.js';

export interface CalibrateReport extends Pick<FittedCalibration, 'relabelled' | 'losses'> {
  readonly calibration: CalibrationFile;
  /** The figures of the calibration with the bins of their reliability diagrams. */
  readonly figures: { readonly before: MeasuredConfidence; readonly after: MeasuredConfidence };
  readonly rejected: readonly { readonly id: string; readonly message: string }[];
  readonly file: string;
}

const style = { head: [], border: [] };

/** What `nearvote calibrate` did, for people. */
export function renderCalibration(report: CalibrateReport): string {
  const { calibration, figures, relabelled, rejected } = report;
  const { vote, images, overlap, dataset, index } = calibration;
  const total = images.vote + images.calibration;
  return [
    `${total} images of ${dataset} against index ${index.name} ${index.version}`,
    `${vote.rule} vote of k = ${vote.k} neighbours${vote.rule === 'softmax' ? `, T = ${vote.temperature}` : ''}` +
      (images.vote > 0 ? `, chosen on ${images.vote} of them` : ', as told') +
      `; the rest is on the other ${images.calibration}`,
    figuresTable(figures),
    `confidence by ${calibration.confidence.kind === 'isotonic' ? 'isotonic regression' : 'temperature scaling'}; after is cross-validated, in brackets 95 % intervals. ` +
      `Labels changed by it: 0; by the new k and T: ${relabelled}`,
    ...(figures.after.nll < figures.before.nll
      ? []
      : [
          'The likelihood is no better than before: there are too few images for what was fitted. --k and --temperature leave less to fit',
        ]),
    'reliability of the confidence, before and after',
    reliabilityTable(figures),
    unknownLine(calibration),
    ...(overlap > 0 ? [`${overlap} images are in the index: all of this is optimistic`] : []),
    ...(rejected.length > 0
      ? [`${rejected.length} images could not be decoded, the first: ${rejected[0]?.message ?? ''}`]
      : []),
    `written to ${report.file}; a running server takes it at its next reload`,
  ].join('\n');
}

function figuresTable(figures: CalibrateReport['figures']): string {
  const table = new Table({ head: ['', 'before', 'after'], style });
  table.push(...confidenceRows(figures.before, figures.after));
  return table.toString();
}

function reliabilityTable({ before, after }: CalibrateReport['figures']): string {
  const head = ['confidence', 'images', 'right', 'images', 'right'];
  const table = new Table({ head, style });
  for (const [i, bin] of before.bins.entries()) {
    const count = before.bins.length;
    if (bin.count === 0 && after.bins[i]?.count === 0) continue;
    const cells = [bin, after.bins[i]].map((one) =>
      one === undefined || one.count === 0 ? ['', ''] : [`${one.count}`, percent(one.accuracy)],
    );
    table.push([`${(i / count).toFixed(2)} to ${((i + 1) / count).toFixed(2)}`, ...cells.flat()]);
  }
  return table.toString();
}

function unknownLine({ unknown }: CalibrationFile): string {
  const { rule, epsilon, threshold, truePositiveRate, familiarities } = unknown;
  if (threshold === null) {
    return `no image can be unknown: epsilon ${epsilon} needs at least ${Math.ceil(1 / epsilon) - 1} images and ${familiarities.length} are left`;
  }
  const what = rule === 'similarity' ? 'the similarity to the k-th neighbour' : 'the top share of the vote';
  return `unknown where p < ${epsilon}: where ${what} is below ${threshold.toFixed(6)}, which keeps ${percent(truePositiveRate)} of these images`;
}
