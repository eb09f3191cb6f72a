import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writing } from '../files/durable.js';
import type { DecodedImages } from '../train/images.js';
import { drawPreview } from '../train/preview.js';
import { createSampler, type SamplerOptions } from '../train/sampler.js';
import type { BatchViewsOptions } from '../train/views.js';

export interface WritePreviewOptions
  extends
    Pick<BatchViewsOptions, 'operations' | 'mix' | 'inputSize' | 'seed'>,
    Pick<SamplerOptions, 'batch'> {
  readonly images: DecodedImages;
  readonly sampler: SamplerOptions['kind'];
}

/** Writes a PNG of images and views of them as training sees them. */
export async function writePreview(file: string, options: WritePreviewOptions): Promise<void> {
  const { images, batch, sampler: kind, seed } = options;
  const classes = images.labelNames.length;
  const png = await drawPreview({
    views: { ...options, classes },
    sampler: createSampler({ ...images, classes, kind, batch: Math.min(batch, images.count), seed }),
    rows: 12,
    columns: 8,
  });
  await writing(dirname(file), () => writeFile(file, png));
  console.log(`${file}: each row an image, then views of it as training sees them`);
}
