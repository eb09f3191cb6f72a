import zlib from 'node:zlib';

/** One chunk: length, type, data, CRC. */
export function pngChunk(type: string, data: Uint8Array = new Uint8Array()): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(zlib.crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

export interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth?: number;
  readonly colourType?: number;
  readonly interlace?: number;
}

export function pngHeader({ width, height, depth = 8, colourType = 2, interlace = 0 }: Header): Buffer {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set([depth, colourType, 0, 0, interlace], 8);
  return pngChunk('IHDR', data);
}

const pngSignature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

export function pngFile(...chunks: readonly Uint8Array[]): Buffer {
  return Buffer.concat([pngSignature, ...chunks]);
}

/** RGB rows, each under the filter that `filterOf` names for it, straight from the formulas of the PNG specification. */
export function filterRows(
  pixels: Uint8Array,
  { width, filterOf }: { readonly width: number; readonly filterOf: (row: number) => number },
): Buffer {
  const rowBytes = width * 3;
  const height = pixels.length / rowBytes;
  const out = Buffer.alloc(height * (rowBytes + 1));
  const at = (y: number, i: number) => (y < 0 || i < 0 ? 0 : (pixels[y * rowBytes + i] ?? 0));
  for (let y = 0; y < height; y++) {
    const filter = filterOf(y);
    out[y * (rowBytes + 1)] = filter;
    for (let i = 0; i < rowBytes; i++) {
      const [a, b, c] = [at(y, i - 3), at(y - 1, i), at(y - 1, i - 3)];
      const p = a + b - c;
      const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
      const paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      const predicted = [0, a, b, Math.floor((a + b) / 2), paeth][filter] ?? 0;
      out[y * (rowBytes + 1) + 1 + i] = (at(y, i) - predicted + 256) % 256;
    }
  }
  return out;
}
