import { createHash } from 'node:crypto';
import type { ImageContent } from '../image/dataset/dataset.js';
import { describeGeometry, type Geometry } from '../image/geometry.js';
import { decodeAnyPlainPng } from '../image/plain-png.js';

/** Of the decoder; a change in the pixels it gives must change it, or old embeddings would be taken for new ones. */
const decoderVersion = 3;

/** The sha256, 32 bytes, of an image's bytes or raw pixels alone: the same whatever decodes or embeds them. */
export function contentDigest(content: ImageContent): Buffer {
  return createHash('sha256')
    .update(`${kindOf(content)}\n`)
    .update(bytesOf(content))
    .digest();
}

/**
 * The sha256, 32 bytes, by which an encoder knows again what it was trained on. Of a file it is that of its bytes, not of its
 * pixels: a JPEG's pixels change with the decoder and with the size it is decoded to, and an image whose embedding is
 * cached is never decoded. A small plain PNG, which costs 50 microseconds and has one right answer, counts as its
 * pixels: so a copy of CIFAR as PNG files is known as the images of the binaries. A file that was written anew in any other way is
 * another image here.
 */
export function trainedImageDigest(content: ImageContent): Buffer {
  const plain = content.kind === 'file' ? decodeAnyPlainPng(content.bytes) : undefined;
  return contentDigest(plain === undefined ? content : { kind: 'pixels', ...plain });
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
