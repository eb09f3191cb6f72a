import type { ImageContent } from './dataset/dataset.js';
import type { Size } from './geometry.js';
import { sharp } from './sharp.js';

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
