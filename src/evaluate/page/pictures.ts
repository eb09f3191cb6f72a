import type { Example } from '../../domain/decision.js';
import type { LabelledImage } from '../../image/dataset/dataset.js';
import type { NearestRows } from '../../neighbours/searcher.js';
import type { Picture, PicturesSection } from '../../report/section.js';
import type { CompareReport } from '../differences.js';
import type { Answer } from '../measure-accuracy.js';

export interface Mistake {
  readonly image: LabelledImage;
  readonly label: string;
  readonly confidence: number;
  /** Nearest first. */
  readonly neighbours: readonly { readonly example: Example; readonly similarity: number }[];
}

export interface PickMistakesOptions {
  readonly images: readonly LabelledImage[];
  /** Of each image. */
  readonly answers: readonly Answer[];
  /** The neighbours that voted. */
  readonly found: NearestRows;
  readonly examples: readonly Example[];
  readonly most: number;
}

const neighboursShown = 6;

/** The wrong answers that were most sure of themselves; of equal ones those first that lie nearer to their neighbours. */
export function pickMistakes(options: PickMistakesOptions): Mistake[] {
  const { images, answers, found, examples, most } = options;
  return images
    .flatMap((image, query) => {
      const answer = answers[query];
      return answer === undefined || answer.label === image.label ? [] : [{ image, query, answer }];
    })
    .sort(({ answer: a }, { answer: b }) => b.confidence - a.confidence || b.kthSimilarity - a.kthSimilarity)
    .slice(0, most)
    .map(({ image, query, answer: { label, confidence } }) => {
      const start = query * found.k;
      const rows = found.rows.subarray(start, start + Math.min(neighboursShown, found.k));
      const neighbours = Array.from(rows, (row, i) => ({
        example: examples[row],
        similarity: found.similarities[start + i] ?? NaN,
      }));
      return {
        image,
        label,
        confidence,
        neighbours: neighbours.filter(
          (one): one is Mistake['neighbours'][number] => one.example !== undefined,
        ),
      };
    });
}

/** Thumbnails by the image's id in its dataset, which is an example's source; where they are at hand. */
type Thumbnails = ReadonlyMap<string, Uint8Array>;

export interface MistakesOptions {
  readonly mistakes: readonly Mistake[];
  readonly images: Thumbnails;
  readonly examples: Thumbnails;
}

/** A row a mistake: the image, then its nearest neighbours. */
export function mistakesSection({ mistakes, images, examples }: MistakesOptions): PicturesSection {
  const pictured = (bytes: Uint8Array | undefined): Pick<Picture, 'image'> =>
    bytes === undefined ? {} : { image: { bytes, type: 'image/webp' } };
  return {
    kind: 'pictures',
    title: 'The most confident mistakes',
    note: 'Each row: an image, then its nearest neighbours with their labels and similarities. Neighbours that look like it under another label point to a wrong label or to classes that overlap.',
    rows: mistakes.map(({ image, label, confidence, neighbours }) => ({
      caption: `${image.label} taken for ${label}, vote share ${confidence.toFixed(3)}: ${image.id}`,
      pictures: [
        { caption: image.label, mark: 'subject' as const, ...pictured(images.get(image.id)) },
        ...neighbours.map(({ example, similarity }): Picture => ({
          caption: `${example.label} ${similarity.toFixed(3)}`,
          mark: example.label === image.label ? 'same' : 'other',
          ...pictured(examples.get(example.source)),
        })),
      ],
    })),
  };
}

interface OneSidedImage {
  readonly image: LabelledImage;
  readonly a: string;
  readonly b: string;
}

export interface OneSided {
  readonly onlyA: readonly OneSidedImage[];
  readonly onlyB: readonly OneSidedImage[];
}

/** Images that only one got right, those first of which the other was most sure. */
export function pickOneSided(
  { answers }: Pick<CompareReport, 'answers'>,
  images: readonly LabelledImage[],
  most: number,
): OneSided {
  const judged = images.map((image, i) => ({ image, a: answers.a[i], b: answers.b[i] }));
  const pick = (good: 'a' | 'b', bad: 'a' | 'b'): OneSidedImage[] =>
    judged
      .filter((one) => one[good]?.label === one.image.label && one[bad]?.label !== one.image.label)
      .sort((x, y) => (y[bad]?.confidence ?? 0) - (x[bad]?.confidence ?? 0))
      .slice(0, most)
      .map(({ image, a, b }) => ({ image, a: a?.label ?? '', b: b?.label ?? '' }));
  return { onlyA: pick('a', 'b'), onlyB: pick('b', 'a') };
}

export function oneSidedSection(
  { onlyA, onlyB }: OneSided,
  thumbnails: ReadonlyMap<string, Uint8Array>,
): PicturesSection {
  const row = (caption: string, images: readonly OneSidedImage[]): PicturesSection['rows'][number] => ({
    caption,
    pictures: images.map(({ image, a, b }) => {
      const bytes = thumbnails.get(image.id);
      return {
        caption: `${image.label}; A: ${a}, B: ${b}; ${image.id}`,
        image: bytes && { bytes, type: 'image/webp' as const },
        mark: 'subject' as const,
      };
    }),
  });
  return {
    kind: 'pictures',
    title: 'Images that only one gets right',
    note: 'Those first of which the other was most sure.',
    rows: [row('Only A is right', onlyA), row('Only B is right', onlyB)].filter(
      ({ pictures }) => pictures.length > 0,
    ),
  };
}
