import type { LabelledImage } from '../../image/dataset/dataset.js';
import type { PicturesSection } from '../../report/section.js';
import type { CompareReport } from '../compare.js';

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
