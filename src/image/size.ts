import sharp from 'sharp';
import type { ImageContent } from './dataset/dataset.js';

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/**
 * Width and height of an image that is turned upright, from its header alone; undefined where that cannot be read. Only
 * for what a decoder was made before: it shuts the loaders that no image may reach.
 */
export async function uprightSize(content: ImageContent | Uint8Array): Promise<ImageSize | undefined> {
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
