import type { Duplex } from 'node:stream';

/** What goes over a pipe at once: words as JSON, and bytes that are not to be made into words. */
export interface Frame {
  readonly words: unknown;
  readonly parts: readonly Uint8Array[];
}

/** Length of the rest, then of its JSON; both little-endian. */
const prefixBytes = 8;

/**
 * Writes a frame: lengths, JSON `[words, part lengths]`, and the parts. Node's own channel between processes takes
 * twice as long for a round trip after a pause (bench/hop).
 */
export function writeFrame(pipe: Duplex, { words, parts }: Frame): void {
  const json = Buffer.from(JSON.stringify([words, parts.map((part) => part.byteLength)]));
  const partBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const frame = Buffer.allocUnsafe(prefixBytes + json.length + partBytes);
  frame.writeUInt32LE(4 + json.length + partBytes, 0);
  frame.writeUInt32LE(json.length, 4);
  frame.set(json, prefixBytes);
  let at = prefixBytes + json.length;
  for (const part of parts) {
    frame.set(part, at);
    at += part.byteLength;
  }
  pipe.write(frame);
}

/** Calls `onFrame` for each whole frame that comes. Its parts are copies, each at the start of a buffer of its own. */
export function readFrames(pipe: Duplex, onFrame: (frame: Frame) => void): void {
  const chunks: Buffer[] = [];
  let held = 0;

  /** The first `length` bytes that are held, without taking them. */
  function peek(length: number): Buffer {
    const [first] = chunks;
    if (first !== undefined && first.length >= length) return first;
    const all = Buffer.concat(chunks);
    chunks.splice(0, chunks.length, all);
    return all;
  }

  pipe.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= 4) {
      const length = 4 + peek(4).readUInt32LE(0);
      if (held < length) return;
      const all = peek(length);
      const frame = all.subarray(0, length);
      held -= length;
      if (all.length > length) chunks[0] = all.subarray(length);
      else chunks.shift();
      onFrame(parseFrame(frame));
    }
  });
}

function parseFrame(frame: Buffer): Frame {
  let at = prefixBytes + frame.readUInt32LE(4);
  const json = JSON.parse(frame.toString('utf8', prefixBytes, at)) as [unknown, number[]];
  const [words, lengths] = json;
  const parts = lengths.map((length) => {
    const part = new Uint8Array(length);
    part.set(frame.subarray(at, at + length));
    at += length;
    return part;
  });
  return { words, parts };
}

/** The bytes of a typed array, as a part of a frame. */
export function bytesOf(values: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A part that was sent as float32; both ends are one machine, so its byte order is theirs. */
export function floatsOf(part: Uint8Array | undefined): Float32Array {
  return part === undefined
    ? new Float32Array(0)
    : new Float32Array(part.buffer, part.byteOffset, part.byteLength / 4);
}

/** A part that was sent as uint32. */
export function integersOf(part: Uint8Array | undefined): Uint32Array {
  return part === undefined ? new Uint32Array(0) : new Uint32Array(part.buffer, 0, part.byteLength / 4);
}
