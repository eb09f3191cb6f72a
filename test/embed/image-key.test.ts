import { describe, expect, it } from 'vitest';
import { imageKey } from '../../src/embed/image-key.js';

const size = { width: 2, height: 1 };
const geometry = { resize: size, fit: 'fill', kernel: 'cubic' } as const;
const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6);
const file = { kind: 'file', bytes } as const;
const raw = { kind: 'pixels', pixels: bytes, width: 2, height: 1 } as const;

describe('the key of an image', () => {
  it('is the same for the same bytes, decoded the same way', () => {
    expect(imageKey(file, geometry)).toEqual(
      imageKey({ kind: 'file', bytes: bytes.slice() }, { ...geometry }),
    );
    expect(imageKey(file, geometry)).toHaveLength(32);
  });

  it('differs by bytes, resize, crop, fit, kernel, and between a file and raw pixels of any shape', () => {
    const keys = [
      imageKey(file, geometry),
      imageKey({ kind: 'file', bytes: Uint8Array.of(1, 2, 3, 4, 5, 7) }, geometry),
      imageKey(file, { ...geometry, resize: { ...size, width: 3 } }),
      imageKey(file, { ...geometry, resize: { ...size, height: 2 } }),
      imageKey(file, { ...geometry, fit: 'cover' }),
      imageKey(file, { ...geometry, kernel: 'linear' }),
      imageKey(file, { ...geometry, crop: size }),
      imageKey(file, { resize: { shortestEdge: 2 }, crop: size, kernel: 'cubic' }),
      imageKey(file, { resize: { shortestEdge: 3 }, crop: size, kernel: 'cubic' }),
      imageKey(file, { resize: 'none', crop: size, kernel: 'cubic' }),
      imageKey(raw, geometry),
      imageKey({ ...raw, width: 1, height: 2 }, geometry),
    ].map((key) => key.toString('hex'));
    expect(new Set(keys).size).toBe(keys.length);
  });
});
