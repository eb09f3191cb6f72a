import { createHash } from 'node:crypto';
import type { ImageContent } from '../image/dataset/dataset.js';
import { describeGeometry, type Geometry } from '../image/geometry.js';

/** Of the decoder; a change in the pixels it gives must change it, or old embeddings would be taken for new ones. */
const decoderVersion = 1;

/** The sha256, 32 bytes, of what decides an image's pixels: its bytes or raw pixels, and how they are decoded. */
export function imageKey(content: ImageContent, geometry: Geometry): Buffer {
  const hash = createHash('sha256');
  const kind = content.kind === 'file' ? 'file' : `pixels ${content.width}x${content.height}`;
  hash.update(`${decoderVersion} ${describeGeometry(geometry)}; ${kind}\n`);
  return hash.update(content.kind === 'file' ? content.bytes : content.pixels).digest();
}
