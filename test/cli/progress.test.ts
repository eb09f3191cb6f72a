import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress, lineProgress } from '../../src/cli/output.js';

interface Captured extends Writable {
  readonly text: string;
  isTTY?: boolean;
}

function capture(): Captured {
  let text = '';
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  return Object.defineProperty(stream, 'text', { get: () => text }) as Captured;
}

describe('progress', () => {
  it('writes a line every five seconds with rate and time left, and one at the end', () => {
    const stream = capture();
    let now = 0;
    const progress = lineProgress({ stream, now: () => now });
    progress.start({ name: 'embedding', total: 100, unit: 'images' });
    for (let i = 0; i < 100; i++) {
      now += 120;
      progress.advance(1);
    }
    progress.finish();
    progress.finish();
    expect(stream.text.split('\n')).toEqual([
      'embedding: 42/100 images, 8.33 images/s, 7 s left',
      'embedding: 84/100 images, 8.33 images/s, 2 s left',
      'embedding: 100/100 images, 8.33 images/s',
      '',
    ]);
  });

  it('writes plain lines where there is no terminal, even for a stage that took no time', () => {
    const stream = capture();
    const progress = createProgress(stream);
    progress.start({ name: 'measuring', total: 0, unit: 'queries' });
    progress.finish();
    expect(stream.text).toMatch(/^measuring: 0\/0 queries, 0 queries\/s\n$/);
  });

  it('draws a bar on a terminal and leaves its last state there', () => {
    const stream = Object.assign(capture(), {
      isTTY: true,
      columns: 120,
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    });
    const progress = createProgress(stream);
    progress.start({ name: 'embedding', total: 10, unit: 'images' });
    progress.advance(10);
    progress.finish();
    progress.finish();
    expect(stream.text).toContain('embedding');
    expect(stream.text).toContain('10/10 images');
  });
});
