// A worker that does what the first pixel of a batch says.
import { appendFileSync } from 'node:fs';
import { NearvoteError } from '../../../dist/domain/errors.js';
import { answerParent } from '../../../dist/processes/child.js';

const deeds = {
  exit: 1,
  throw: 2,
  loop: 3,
  abort: 4,
  heap: 5,
  fail: 6,
};

let setup;

answerParent({
  setUp: async (words) => {
    setup = words;
    if (setup.encoderDir === 'broken') {
      throw new NearvoteError('encoder_invalid', 'broken on purpose');
    }
    if (setup.encoderDir === 'dies-at-start') process.exit(7);
    // Fine once, and never again.
    if (setup.encoderDir.endsWith('/once')) appendFileSync(setup.encoderDir, '', { flag: 'ax' });
    // An encoder by the name of slow-N takes N milliseconds for an image.
    const [, ms] = /\/slow-(\d+)$/.exec(setup.encoderDir) ?? [];
    return ms === undefined ? {} : { imageMs: Number(ms) };
  },
  run: async ({ words, parts }) => {
    const { count, wide } = words;
    if (setup.encoderDir.endsWith('/batches')) {
      appendFileSync(setup.encoderDir, `${process.pid} ${count} ${wide}\n`);
    }
    switch (parts[0][0]) {
      case deeds.exit:
        return process.exit(3);
      case deeds.throw:
        return new Promise(() => {
          setTimeout(() => {
            throw new Error('thrown on purpose');
          });
        });
      case deeds.loop:
        for (;;);
      case deeds.abort:
        return process.abort();
      case deeds.heap: {
        const hoard = [];
        for (;;) hoard.push(new Array(1e6).fill(hoard.length));
      }
      case deeds.fail:
        throw new Error('failed on purpose');
      default: {
        // The embedding of an image is its last pixel, then one more, so that a test can tell whose answer came back.
        const embeddings = Float32Array.from(parts.flatMap((pixels) => [pixels.at(-1), pixels.at(-1) + 1]));
        return { words: { encodeMs: 1 }, parts: [new Uint8Array(embeddings.buffer)] };
      }
    }
  },
});
