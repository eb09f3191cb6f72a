import type { Example } from '../../domain/decision.js';
import type { LabelledImage } from '../../image/dataset/dataset.js';
import type { NearestRows } from '../../neighbours/searcher.js';
import type { Picture, PicturesSection } from '../../report/section.js';
import type { Answer } from '../answers.js';

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

/** Thumbnails by id, where they are at hand. */
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
          ...pictured(examples.get(example.id)),
        })),
      ],
    })),
  };
}
