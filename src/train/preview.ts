import { encodePng } from '../image/thumbnail.js';
import { resized } from './augment/geometry.js';
import type { DecodedImages } from './images.js';
import type { Pixels } from './augment/pixels.js';
import { createSampler, type Sampler, type SamplerOptions } from './sampler.js';
import { createViewMaker, type BatchViewsOptions } from './views.js';

export interface DrawViewsOptions
  extends
    Pick<BatchViewsOptions, 'operations' | 'mix' | 'inputSize' | 'seed'>,
    Pick<SamplerOptions, 'batch'> {
  readonly images: DecodedImages;
  readonly sampler: SamplerOptions['kind'];
}

/** A PNG of the images of the first batch and views of them as training sees them. */
export async function drawViews(options: DrawViewsOptions): Promise<Uint8Array> {
  const { images, batch, sampler: kind, seed } = options;
  const classes = images.labelNames.length;
  return drawPreview({
    views: { ...options, classes },
    sampler: createSampler({ ...images, classes, kind, batch: Math.min(batch, images.count), seed }),
    rows: 12,
    columns: 8,
  });
}

export interface PreviewOptions {
  readonly views: BatchViewsOptions;
  /** Its first batch is shown. */
  readonly sampler: Sampler;
  readonly rows: number;
  /** Views beside each original. */
  readonly columns: number;
}

/** A contact sheet as PNG: in each row an image as it is, at the size of the crop, then views of it as training sees them. */
export async function drawPreview({ views, sampler, rows, columns }: PreviewOptions): Promise<Uint8Array> {
  const { inputSize } = views;
  const { side, pixels } = views.images;
  const images = sampler.batch({ epoch: 0, step: 0 }).slice(0, rows);
  const makeViews = createViewMaker(views);
  const viewBytes = inputSize * inputSize * 3;
  const steps = Array.from({ length: Math.ceil(columns / 2) }, (_, step) =>
    makeViews({ epoch: 0, step }, images),
  );

  const shown = Array.from(images, (image, row): readonly Pixels[] => {
    const stored = new Uint8ClampedArray(pixels, image * side * side * 3, side * side * 3);
    const original = resized(inputSize)({ values: stored, width: side, height: side }, () => 0);
    const drawn = steps.flatMap((batch) =>
      [row, images.length + row].map((at): Pixels => {
        const values = new Uint8ClampedArray(batch.pixels.buffer, at * viewBytes, viewBytes);
        return { values, width: inputSize, height: inputSize };
      }),
    );
    return [original, ...drawn.slice(0, columns)];
  });
  const sheet = contactSheet(shown);
  return encodePng(sheet.values, sheet);
}

const gap = 4;
/** Between the originals and their views. */
const wideGap = 12;
/** Small images are enlarged by a whole factor towards this many pixels, so that each pixel is seen. */
const cellTarget = 96;
const paper = 255;

/** Rows of images of one size on white, the first of each row set apart. */
export function contactSheet(rows: readonly (readonly Pixels[])[]): Pixels {
  const side = rows[0]?.[0]?.width ?? 1;
  const factor = Math.max(1, Math.floor(cellTarget / side));
  const cell = side * factor;
  const columns = Math.max(...rows.map(({ length }) => length));
  const width = gap + columns * (cell + gap) + (columns > 1 ? wideGap - gap : 0);
  const height = gap + rows.length * (cell + gap);
  const values = new Uint8ClampedArray(width * height * 3).fill(paper);
  for (const [row, images] of rows.entries()) {
    for (const [column, image] of images.entries()) {
      const left = gap + column * (cell + gap) + (column > 0 ? wideGap - gap : 0);
      const top = gap + row * (cell + gap);
      draw(image, { values, width, left, top, factor });
    }
  }
  return { values, width, height };
}

interface Place {
  readonly values: Uint8ClampedArray;
  readonly width: number;
  readonly left: number;
  readonly top: number;
  readonly factor: number;
}

function draw(image: Pixels, { values, width, left, top, factor }: Place): void {
  for (let y = 0; y < image.height * factor; y++) {
    for (let x = 0; x < image.width * factor; x++) {
      const from = (Math.floor(y / factor) * image.width + Math.floor(x / factor)) * 3;
      values.set(image.values.subarray(from, from + 3), ((top + y) * width + left + x) * 3);
    }
  }
}
