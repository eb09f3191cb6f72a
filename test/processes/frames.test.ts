import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  floatsOf,
  integersOf,
  readFrames,
  writeFrame,
  type Frame,
} from '../../src/processes/frames.js';

/** What is read when the bytes of some frames come in chunks of these sizes. */
function readInChunks(frames: readonly Frame[], sizes: readonly number[]): Frame[] {
  const written = new PassThrough();
  for (const frame of frames) writeFrame(written, frame);
  const bytes = (written.read() as Buffer | null) ?? Buffer.alloc(0);
  const pipe = new PassThrough();
  const read: Frame[] = [];
  readFrames(pipe, (frame) => read.push(frame));
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    pipe.emit('data', bytes.subarray(at, at + size));
    at += size;
  }
  return read;
}

const frames = fc.array(
  fc.record({
    words: fc.oneof(fc.string(), fc.record({ job: fc.nat(), text: fc.string({ unit: 'grapheme' }) })),
    parts: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }),
  }),
  { maxLength: 5 },
);

describe('frames', () => {
  it('come back as they were written, however their bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (written, sizes) => {
        expect(readInChunks(written, sizes)).toEqual(written);
      }),
    );
  });

  it('carry numbers whatever lies before them', () => {
    const floats = Float32Array.of(1.5, -0, 3e38);
    const integers = Uint32Array.of(0, 4_294_967_295);
    const [frame] = readInChunks(
      [{ words: 'odd', parts: [Uint8Array.of(1), bytesOf(floats), bytesOf(integers)] }],
      [3],
    );
    expect([...floatsOf(frame?.parts[1])]).toEqual([...floats]);
    expect([...integersOf(frame?.parts[2])]).toEqual([...integers]);
    expect(floatsOf(frame?.parts[9])).toHaveLength(0);
  });
});
