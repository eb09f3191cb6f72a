import { describe, expect, it } from 'vitest';
import { encoderManifestSchema, type EncoderManifest } from '../../../src/encoder/manifest.js';
import type { EncoderPool } from '../../../src/encoder/pool/pool.js';
import { createSharedPools, type SharedPools } from '../../../src/encoder/pool/shared-pools.js';

const encoder = encoderManifestSchema.parse({
  ...{ name: 'one', version: '1', format: 'onnx', file: 'encoder.onnx', sha256: 'a'.repeat(64) },
  input: { name: 'pixels', width: 8, height: 8, fit: 'fill', kernel: 'linear' },
  output: { name: 'embeddings', dimension: 2 },
  ...{ trainedOn: [], metrics: {}, licence: 'MIT' },
});

interface Stage {
  readonly pools: SharedPools;
  /** What was started and closed, in order. */
  readonly events: string[];
  readonly share: (manifest?: EncoderManifest) => Promise<EncoderPool>;
}

/** Pools that start at once, each with three images that wait; the runtime's start fails while `fails` says so. */
function setStage(fails: () => boolean = () => false): Stage {
  const pools = createSharedPools();
  const events: string[] = [];
  let started = 0;
  const start = async (): Promise<EncoderPool> => {
    const number = ++started;
    events.push(`start ${number}`);
    await Promise.resolve();
    if (fails()) throw new Error(`${number} cannot start`);
    return {
      ...{ queueDepth: 3, ready: true, runtime: 'onnxruntime' },
      embed: () => Promise.reject(new Error('no image')),
      close: () => Promise.resolve(void events.push(`close ${number}`)),
    };
  };
  return { pools, events, share: (manifest = encoder) => pools.share(manifest, start) };
}

describe('pools that indexes share', () => {
  it('are one for an encoder, be it still starting, and are closed with the last share', async () => {
    const { share, events, pools } = setStage();
    const [first, second] = await Promise.all([share(), share()]);
    const third = await share();
    expect([events, pools.queueDepth]).toEqual([['start 1'], 3]);
    await first.close();
    await second.close();
    expect([first.ready, third.ready, events]).toEqual([false, true, ['start 1']]);
    await third.close();
    expect([events, pools.queueDepth]).toEqual([['start 1', 'close 1'], 0]);
  });

  it('count a share once, however often it is closed', async () => {
    const { share, events } = setStage();
    const [first, second] = await Promise.all([share(), share()]);
    await Promise.all([first.close(), first.close()]);
    expect([second.ready, events]).toEqual([true, ['start 1']]);
  });

  it('are another for an encoder that differs in anything its manifest says, and for one that was closed', async () => {
    const { share, events, pools } = setStage();
    const first = await share();
    await share({ ...encoder, sha256: 'b'.repeat(64) });
    await share({ ...encoder, input: { ...encoder.input, name: 'images' } });
    expect([events, pools.queueDepth]).toEqual([['start 1', 'start 2', 'start 3'], 9]);
    await first.close();
    expect((await share()).ready).toBe(true);
    expect(events).toEqual(['start 1', 'start 2', 'start 3', 'close 1', 'start 4']);
  });

  it('that cannot start fail for everyone who waits, and the next asks for a new one', async () => {
    let broken = true;
    const { share, events } = setStage(() => broken);
    const outcomes = await Promise.allSettled([share(), share()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    broken = false;
    expect((await share()).ready).toBe(true);
    expect(events).toEqual(['start 1', 'start 2']);
  });
});
