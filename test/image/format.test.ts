import { describe, expect, it } from 'vitest';
import { requireFormat } from '../../src/image/format.js';
import { solid } from './drawing.js';

const red = () => solid([200, 0, 0]);
const bytes = (latin1: string) => Buffer.from(latin1, 'latin1');
const isoFile = (major: string, ...compatible: string[]) =>
  bytes(`\0\0\0${String.fromCharCode(16 + compatible.length * 4)}ftyp${major}\0\0\0\0${compatible.join('')}`);

describe('requireFormat', () => {
  it('knows every format it decodes by what the encoder wrote', async () => {
    expect(requireFormat(await red().jpeg().toBuffer())).toBe('jpeg');
    expect(requireFormat(await red().png().toBuffer())).toBe('png');
    expect(requireFormat(await red().webp().toBuffer())).toBe('webp');
    expect(requireFormat(await red().gif().toBuffer())).toBe('gif');
    expect(requireFormat(await red().avif().toBuffer())).toBe('avif');
    expect(requireFormat(await red().tiff().toBuffer())).toBe('tiff');
  });

  it('knows a big-endian TIFF, an old GIF and an AVIF that names its brand second', () => {
    expect(requireFormat(bytes('MM\0*\0\0\0\x08'))).toBe('tiff');
    expect(requireFormat(bytes('GIF87a'))).toBe('gif');
    expect(requireFormat(isoFile('mif1', 'miaf', 'avif'))).toBe('avif');
  });

  it('calls a file without bytes empty', () => {
    expect(() => requireFormat(new Uint8Array())).toThrow(expect.objectContaining({ code: 'image_empty' }));
  });

  it.each([
    ['SVG', bytes('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['SVG', bytes('\xef\xbb\xbf  <?xml version="1.0"?>\n<!-- drawn -->\n<svg width="9"/>')],
    ['XML', bytes('<?xml version="1.0"?><feed/>')],
    ['HTML', bytes('<!DOCTYPE html><title>404</title>')],
    ['PDF', bytes('%PDF-1.7\n')],
    ['BMP', bytes('BM\x36\0\0\0')],
    ['ICO', bytes('\0\0\x01\0\x01\0')],
    ['PSD', bytes('8BPS\0\x01')],
    ['HEIC', isoFile('heic', 'mif1')],
    ['HEIC', isoFile('mif1', 'heic')],
    ['MP4', isoFile('isom', 'mp42')],
    ['JPEG XL', bytes('\xff\x0a\x7a')],
    ['JPEG 2000', bytes('\0\0\0\x0cjP  \r\n\x87\n')],
    ['ZIP', bytes('PK\x03\x04')],
    ['gzip', bytes('\x1f\x8b\x08')],
    ['text', bytes('this was renamed to cat.jpg\r\n')],
    ['text', Buffer.from('une été à la plage', 'utf8')],
    ['unknown bytes', bytes('\x01\x02\x03\x04\xfe')],
    ['unknown bytes', bytes('\0')],
  ])('refuses %s by its name', (name, content) => {
    expect(() => requireFormat(content)).toThrow(
      expect.objectContaining({
        code: 'image_unsupported',
        message: `Expected a JPEG, PNG, WebP, GIF, AVIF or TIFF image but received ${name}`,
      }),
    );
  });

  it('reads no further than the view it was given', () => {
    const around = bytes('....\x89PNG\r\n\x1a\n....');
    expect(requireFormat(around.subarray(4, 12))).toBe('png');
    expect(() => requireFormat(around.subarray(4, 8))).toThrow(
      expect.objectContaining({ code: 'image_unsupported' }),
    );
  });
});
