import type { MeasuredConfidence } from '../evaluate/measure-confidence.js';
import { bandWords, confidenceRows, decimal, perfectEce, withInterval } from '../evaluate/page/words.js';
import type { CurveSection, ReportPage, Section } from '../report/section.js';
import { confidenceOf } from '../vote/confidence.js';
import type { CalibrationFile } from '../examples/calibration-file.js';

export interface CalibrationPageParts {
  readonly calibration: CalibrationFile;
  readonly figures: { readonly before: MeasuredConfidence; readonly after: MeasuredConfidence };
}

/** A calibration as a page: its figures, the reliability diagrams before and after, and the map between them. */
export function calibrationPage({ calibration, figures }: CalibrationPageParts): ReportPage {
  const { index, encoder, dataset, images, vote, unknown } = calibration;
  // Where the share of the vote stays, before and after are the same.
  const shown =
    calibration.confidence.kind === 'share'
      ? [{ name: 'share of the vote', of: figures.before }]
      : [
          { name: 'before', of: figures.before },
          { name: 'after', of: figures.after },
        ];
  const note = `Of the confidence that the label is right, on ${images} images, with 95 % intervals`;
  const sections: Section[] = [
    {
      kind: 'table',
      title: 'Figures',
      note: `${note}; ${shown.length === 1 ? 'by cross-validation nothing fitted does better than the share of the vote' : 'after is cross-validated'}.`,
      columns: [{ name: '' }, ...shown.map(({ name }) => ({ name, align: 'right' as const }))],
      rows: confidenceRows(shown.map(({ of }) => of)),
    },
    {
      kind: 'reliability',
      title: 'Reliability',
      note: 'How often answers of a confidence are right. On the diagonal a confidence is a probability.',
      series: shown.map(({ name, of }) => ({ name, bins: of.bins })),
    },
    ...mapSections(calibration),
  ];
  return {
    title: `Calibration of ${index.name}`,
    subtitle: `${images} images of ${dataset}, index version ${index.version}, encoder ${encoder.name}, seed ${calibration.seed}`,
    facts: [
      { name: 'vote', value: vote.rule === 'softmax' ? `softmax, T = ${vote.temperature}` : vote.rule },
      { name: 'k', value: `${vote.k}` },
      ...shown.flatMap(({ name, of }) => [
        { name: `ECE ${name}`, value: withInterval(of.ece, of.intervals.ece, decimal) },
        { name: `${perfectEce}, ${name}`, value: bandWords(of.nullBand) },
      ]),
      { name: 'unknown where p is below', value: `${unknown.epsilon}` },
    ],
    sections,
  };
}

const steps = 200;
const features = [
  'logit of the share of the vote',
  'minus log of the mean distance',
  'minus log of the k-th distance',
  'margin to the next label',
  'square of the margin',
];

/** A map of the share as a curve, one of more than the share as its weights. */
function mapSections({ confidence }: CalibrationFile): Section[] {
  if (confidence.kind === 'share') return [];
  const title = 'Confidence map';
  if (confidence.kind === 'logistic') {
    const { weights, bias } = confidence;
    return [
      {
        kind: 'table',
        title,
        note: 'The confidence is a logistic regression: the sigmoid of these added up.',
        columns: [{ name: 'what speaks for the label' }, { name: 'weight', align: 'right' }],
        rows: [
          ...features.map((name, i) => [name, (weights[i] ?? NaN).toFixed(4)]),
          ['bias', bias.toFixed(4)],
        ],
      },
    ];
  }
  const curve: CurveSection = {
    kind: 'curve',
    title,
    note: 'From the share of the vote that the top label has to the probability that it is right. It never falls.',
    x: 'share of the vote',
    y: 'confidence',
    diagonal: 'the share of the vote itself',
    series: [
      {
        name: confidence.kind === 'isotonic' ? 'isotonic regression' : 'temperature scaling',
        points: Array.from({ length: steps + 1 }, (_, i) => [
          i / steps,
          confidenceOf(confidence, { share: i / steps, meanSimilarity: 0, kthSimilarity: 0, margin: 0 }),
        ]),
      },
    ],
  };
  return [curve];
}
