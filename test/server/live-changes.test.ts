import { expect, it } from 'vitest';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { createLiveChanges } from '../../src/server/live-changes.js';

it('a compaction serves the version that an earlier one published and could not serve', async () => {
  let published = 'v1';
  let served = 'v1';
  let fails = true;
  const changes = createLiveChanges({
    writer: { assertHeld: () => Promise.resolve(), release: () => Promise.resolve() },
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    neighbours: () => ({ version: { name: 'i', version: served } }) as Neighbours,
    compact: () => {
      const changed = published === 'v1';
      published = 'v2';
      return Promise.resolve({
        ...{ name: 'i', version: published, changed, sequence: 1, examples: 1, refused: undefined },
      });
    },
    reload: () => {
      if (fails) return Promise.reject(new Error('no memory'));
      served = published;
      return Promise.resolve();
    },
  });
  await expect(changes.compact()).rejects.toThrow('no memory');
  fails = false;
  expect(await changes.compact()).toMatchObject({ version: 'v2', changed: false });
  expect(served).toBe('v2');
});
