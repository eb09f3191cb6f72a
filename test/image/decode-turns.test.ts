import { describe, expect, it } from 'vitest';
import { createDecodeTurns } from '../../src/image/decode-turns.js';

const image = (bytes: number) => ({ width: 1, height: 1, bytes, samples: 1 });

/** Decodes that end when they are told to. */
function started(bytes: readonly number[], maxBytes: number) {
  const turns = createDecodeTurns();
  const begun: number[] = [];
  const ends = new Map<number, (error?: Error) => void>();
  const done = bytes.map((own, i) =>
    turns.run({ cost: image(own), maxBytes }, () => {
      begun.push(i);
      return new Promise<number>((resolve, reject) => {
        ends.set(i, (error) => (error === undefined ? resolve(i) : reject(error)));
      });
    }),
  );
  const settled = Promise.allSettled(done);
  return { begun, done, settled, end: (i: number, error?: Error) => ends.get(i)?.(error) };
}

describe('large images take turns', () => {
  it('so that those decoded at once need no more than the limit together, and begin in their order', async () => {
    const { begun, done, end } = started([60e6, 60e6, 20e6, 100e6], 100e6);
    await Promise.resolve();
    expect(begun).toEqual([0]);
    end(0);
    await done[0];
    expect(begun).toEqual([0, 1, 2]);
    end(2);
    await done[2];
    expect(begun).toEqual([0, 1, 2]);
    end(1);
    await done[1];
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  it('two at once at most, whatever the limit, and a failed one makes room', async () => {
    const { begun, settled, done, end } = started([20e6, 20e6, 20e6], 1e12);
    await Promise.resolve();
    expect(begun).toEqual([0, 1]);
    end(0, new Error('damaged'));
    await done[0]?.catch(() => undefined);
    expect(begun).toEqual([0, 1, 2]);
    end(1);
    end(2);
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  });

  it('and small ones never wait for them', async () => {
    const { begun, done, end } = started([100e6, 100e6, 100e6, 1000], 100e6);
    await Promise.resolve();
    expect(begun).toEqual([0, 3]);
    end(3);
    expect(await done[3]).toBe(3);
  });
});
