import { endianness } from 'node:os';

/** The bytes of float32 values as files hold them: little-endian. Not copied where the machine is so too. */
export function littleEndianBytes(values: Float32Array): Uint8Array {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}

/** The float32 values of little-endian bytes; a copy, so that they are aligned wherever the bytes lie. */
export function floatsOfLittleEndian(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(Math.floor(bytes.byteLength / 4));
  const copy = Buffer.from(values.buffer);
  copy.set(bytes.subarray(0, copy.length));
  if (endianness() !== 'LE') copy.swap32();
  return values;
}
