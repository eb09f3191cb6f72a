import sharp from 'sharp';
import type { ImageContent } from './dataset/dataset.js';
import type { Size } from './geometry.js';

// The one place that imports sharp: these settings belong to the whole process, and changing one of them makes decodes
// that are under way fail, so they are made once, when this module is loaded, and never again.

// Every image is new and small work: a cache only holds memory, and threads come from having many images at once.
sharp.cache(false);
sharp.concurrency(1);

/** The only loaders left open in this process: SVG, raw formats and files by name stay shut even if a check fails. */
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff'].map(
  (name) => `VipsForeignLoad${name}Buffer`,
);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: loaders });

export { sharp };
export type { Sharp, SharpOptions } from 'sharp';

/**
 * Width and height of an image that is turned upright, from its header alone; undefined where that cannot be read.
 */
export async function uprightSize(content: ImageContent | Uint8Array): Promise<Size | undefined> {
  if (!(content instanceof Uint8Array) && content.kind === 'pixels') {
    return content.width > 0 && content.height > 0 ? content : undefined;
  }
  try {
    const { autoOrient } = await sharp(content instanceof Uint8Array ? content : content.bytes).metadata();
    return autoOrient;
  } catch {
    return undefined;
  }
}
