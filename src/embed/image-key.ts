import { createHash } from 'node:crypto';
import type { ImageContent } from '../image/dataset/dataset.js';
import { describeGeometry, type Geometry } from '../image/geometry.js';

/** Of the decoder; a change in the pixels it gives must change it, or old embeddings would be taken for new ones. */
const decoderVersion = 2;

/** The sha256, 32 bytes, of an image's bytes or raw pixels alone: the same whatever decodes or embeds them. */
export function contentDigest(content: ImageContent): Buffer {
  return createHash('sha256')
    .update(`${kindOf(content)}\n`)
    .update(bytesOf(content))
    .digest();
}

/** The sha256, 32 bytes, of what decides an image's pixels: its bytes or raw pixels, and how they are decoded. */
export function imageKey(content: ImageContent, geometry: Geometry): Buffer {
  const hash = createHash('sha256');
  hash.update(`${decoderVersion} ${describeGeometry(geometry)}; ${kindOf(content)}\n`);
  return hash.update(bytesOf(content)).digest();
}

function kindOf(content: ImageContent): string {
  return content.kind === 'file' ? 'file' : `pixels ${content.width}x${content.height}`;
}

function bytesOf(content: ImageContent): Uint8Array {
  return content.kind === 'file' ? content.bytes : content.pixels;
}
