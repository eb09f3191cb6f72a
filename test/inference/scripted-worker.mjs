// A worker that speaks the pool's protocol and does what the first pixel of a batch says.
import { appendFileSync } from 'node:fs';

const deeds = {
  exit: 1,
  throw: 2,
  loop: 3,
  abort: 4,
  heap: 5,
  fail: 6,
};

let setup;
process.on('disconnect', () => process.exit(0));
process.on('message', (request) => {
  if (request.type === 'setup') {
    setup = request.setup;
    if (setup.encoderDir === 'broken') {
      process.send({
        type: 'failure',
        batch: undefined,
        code: 'encoder_invalid',
        message: 'broken on purpose',
      });
    } else if (setup.encoderDir === 'dies-at-start') {
      process.exit(7);
    } else {
      process.send({ type: 'ready', searchKind: 'exact' });
    }
    return;
  }
  const { batch, count, k, pixels } = request;
  if (setup.encoderDir.startsWith('/')) appendFileSync(setup.encoderDir, `${process.pid} ${count}\n`);
  const size = pixels.length / count;
  switch (pixels[0]) {
    case deeds.exit:
      return process.exit(3);
    case deeds.throw:
      throw new Error('thrown on purpose');
    case deeds.loop:
      for (;;);
    case deeds.abort:
      return process.abort();
    case deeds.heap: {
      const hoard = [];
      for (;;) hoard.push(new Array(1e6).fill(hoard.length));
    }
    case deeds.fail:
      return process.send({ type: 'failure', batch, code: 'encoder_invalid', message: 'failed on purpose' });
    default:
      // Row j of image i is its last pixel plus j, so that a test can tell whose answer came back.
      process.send({
        type: 'batch',
        batch,
        embeddings: request.withEmbeddings
          ? Float32Array.from({ length: count * 2 }, (_, i) => pixels[((i >> 1) + 1) * size - 1] + (i % 2))
          : new Float32Array(0),
        rows: Int32Array.from(
          { length: count * k },
          (_, i) => pixels[(Math.floor(i / k) + 1) * size - 1] + (i % k),
        ),
        similarities: Float32Array.from({ length: count * k }, (_, i) => 1 - (i % k) / 10),
        encodeMs: 1,
        searchMs: 1,
      });
  }
});
