import { encodePng } from '../image/thumbnail.js';
import type { Pixels } from './augment/pixels.js';
import { resized } from './augment/resized-crop.js';
import { createViewMaker, type BatchViewsOptions } from './batch-views.js';
import { contactSheet } from './contact-sheet.js';
import type { Sampler } from './sampler.js';

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
