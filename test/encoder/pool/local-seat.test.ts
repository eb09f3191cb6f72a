import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { readEncoderManifest } from '../../../src/encoder/load.js';
import { createEncoderPool, type EncoderPool } from '../../../src/encoder/pool/pool.js';
import { openLocalSeat } from '../../../src/encoder/pool/local-seat.js';
import { childrenOf } from '../../cli/served.js';

const encoderDir = fileURLToPath(new URL('../../../models/cifar10-compact', import.meta.url));
const manifest = await readEncoderManifest(encoderDir);
const image = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => Math.imul(i, 2654435761) >>> 13);

let open: EncoderPool | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

describe('the encoder of lone images', () => {
  it.skipIf(process.platform !== 'linux')(
    'answers a lone image with every worker stopped, to the same bits as a worker, and hands more to the workers',
    async () => {
      const before = new Set(childrenOf(process.pid));
      open = await createEncoderPool({
        ...{ encoderDir, manifest, workers: 2, threads: 1, maxBatch: 8, maxQueue: 100, wide: true },
        // However busy the machine is.
        quickMs: Infinity,
      });
      const workers = childrenOf(process.pid).filter((pid) => !before.has(pid));
      expect(workers).toHaveLength(2);
      const [first, second] = await Promise.all([open.embed(image), open.embed(image)]);
      for (const pid of workers) process.kill(pid, 'SIGSTOP');
      const alone = await open.embed(image);
      for (const pid of workers) process.kill(pid, 'SIGCONT');
      expect(alone.embedding).toEqual(first.embedding);
      expect(alone.embedding).toEqual(second.embedding);
      expect(alone.batchSize).toBe(1);
      expect(alone.embedding.length).toBe(manifest.output.dimension);
    },
    30_000,
  );

  it('is not opened for another device, which the workers hold already', async () => {
    const options = { encoderDir, manifest, threads: 1, providers: ['cuda'] };
    expect(await openLocalSeat(options)).toBeUndefined();
  });

  it('ends what it encodes before it closes', async () => {
    const seat = await openLocalSeat({ encoderDir, manifest, threads: 1 });
    const reply = seat?.run({ words: { count: 1, wide: true }, parts: [image] });
    expect(seat?.jobs).toBe(1);
    await seat?.close();
    expect((await reply)?.parts[0]?.byteLength).toBe(4 * manifest.output.dimension);
    expect(seat?.jobs).toBe(0);
  });
});
