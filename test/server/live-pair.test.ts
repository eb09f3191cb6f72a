import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, describe, expect, it, vi } from 'vitest';

import type { EncoderManifest } from '../../src/encoder/manifest.js';
import type { EncoderPool } from '../../src/encoder/pool/pool.js';
import { createSharedPools } from '../../src/encoder/pool/shared-pools.js';
import { createLivePair, type LivePair } from '../../src/server/live-pair.js';
import type { OpenPair } from '../../src/pair.js';
import { createServing, type ServedIndex, type Serving } from '../../src/server/serving.js';

afterEach(() => vi.useRealTimers());

interface Opening {
  readonly besideOthers: boolean;
  /** Ends the opening with a pair of this version, `v1`, or of it after so many changes, `v1@5`. */
  finish(version: string): void;
  fail(error: Error): void;
}

interface Stage {
  readonly live: LivePair;
  readonly serving: Serving;
  readonly served: ServedIndex;
  readonly reload: ServedIndex['reload'];
  readonly openings: Opening[];
  readonly closed: string[];
  readonly results: string[];
  readonly warnings: string[];
  readonly errors: string[];
  opening(number: number): Promise<Opening>;
}

/** A live pair whose openings end when the test says. */
function setStage({ keepsPool = false, failsToClose = '' } = {}): Stage {
  const openings: Opening[] = [];
  const closed: string[] = [];
  const results: string[] = [];
  const warnings: string[] = [];
  const errors: string[] = [];
  const serving = createServing(['i']);
  const [served] = serving.indexes;
  const pools = createSharedPools();
  const pairOf = async (asked: string): Promise<OpenPair> => {
    const [version = '', sequence = 0] = asked.split('@');
    const named = { name: 'i', version };
    const encoder = {
      ...{ name: 'e', version: keepsPool ? '1' : version },
      input: { name: 'i', width: 1, height: 1, geometry: { resize: 'none', kernel: 'cubic' } },
      output: { name: 'o', dimension: 2 },
    };
    const pool = { ready: true, close: () => Promise.resolve(void closed.push(`${version} pool`)) };
    const neighbours = {
      version: named,
      state: { sequence: Number(sequence), examples: 1, labels: [{ label: 'a', examples: 1 }], changed: 0 },
      searchKind: 'exact',
      ready: true,
      follow: () =>
        version === 'unable' ? Promise.reject(new Error(`${version} cannot follow`)) : Promise.resolve(),
      close: () =>
        version === failsToClose
          ? Promise.reject(new Error(`${version} cannot be closed`))
          : Promise.resolve(void closed.push(version)),
    };
    const calibration =
      version === 'stale' ? { kind: 'ignored', reason: 'it is for v0' } : { kind: 'absent' };
    return {
      ...{ published: named, encoder, calibration, decoder: {}, neighbours },
      pool: await pools.share(encoder as unknown as EncoderManifest, () =>
        Promise.resolve(pool as EncoderPool),
      ),
    } as unknown as OpenPair;
  };
  const live = createLivePair({
    serving,
    served,
    metrics: {
      serves: () => undefined,
      reloaded: (index, result) => void results.push(`${index} ${result}`),
    },
    logger: {
      info: () => undefined,
      warn: (text: unknown) => void warnings.push(String(text)),
      error: ({ err }: { err: Error }) => void errors.push(err.message),
    },
    providers: ['cpu'],
    requestTimeoutMs: 90_000,
    vote: {
      settings: { k: 1, rule: 'majority', temperature: 1, priorCorrection: false },
      isExplicit: false,
    },
    open: ({ besideOthers }) =>
      new Promise((resolve, reject) => {
        openings.push({ besideOthers, finish: (version) => resolve(pairOf(version)), fail: reject });
      }),
  });
  const opening = async (number: number): Promise<Opening> => {
    for (;;) {
      const found = openings[number];
      if (found !== undefined) return found;
      await turn();
    }
  };
  const reload = (): ReturnType<ServedIndex['reload']> => served.reload();
  return { live, serving, served, reload, openings, closed, results, warnings, errors, opening };
}

async function loaded(options: Parameters<typeof setStage>[0] = {}): Promise<Stage> {
  const stage = setStage(options);
  const first = stage.live.load();
  (await stage.opening(0)).finish('v1');
  await first;
  return stage;
}

const versionServed = ({ served }: Stage): string | undefined => served.classifier?.index.version;

describe('the pair that answers', () => {
  it('is opened at full speed first, and beside the one that serves afterwards', async () => {
    const stage = await loaded();
    const reloading = stage.reload();
    (await stage.opening(1)).finish('v2');
    expect(await reloading).toEqual({ name: 'i', version: 'v2' });
    expect(stage.openings.map(({ besideOthers }) => besideOthers)).toEqual([false, true]);
    expect(versionServed(stage)).toBe('v2');
    await expect.poll(() => stage.closed.toSorted()).toEqual(['v1', 'v1 pool']);
    expect(stage.results).toEqual(['i ok']);
  });

  it('is reloaded once more, not ten times, for ten reloads asked for during one', async () => {
    const stage = await loaded();
    const first = stage.reload();
    const during = await stage.opening(1);
    const later = Array.from({ length: 10 }, () => stage.reload());
    await turn();
    expect(stage.openings).toHaveLength(2);
    during.finish('v2');
    expect((await first).version).toBe('v2');
    (await stage.opening(2)).finish('v3');
    for (const reload of later) expect((await reload).version).toBe('v3');
    expect(stage.openings).toHaveLength(3);
    expect(stage.results).toEqual(['i ok', 'i ok']);
  });

  it('stays as it was after a reload that failed, and the next reload is tried', async () => {
    const stage = await loaded();
    const failing = stage.reload();
    (await stage.opening(1)).fail(new Error('bad index'));
    await expect(failing).rejects.toThrow('bad index');
    expect(stage.errors).toEqual(['bad index']);
    expect(versionServed(stage)).toBe('v1');
    const again = stage.reload();
    (await stage.opening(2)).finish('v2');
    await again;
    expect(stage.results).toEqual(['i failed', 'i ok']);
  });

  it('is not left open where it cannot take over what was changed meanwhile', async () => {
    const stage = await loaded();
    const reloading = stage.reload();
    (await stage.opening(1)).finish('unable');
    await expect(reloading).rejects.toThrow('unable cannot follow');
    expect(versionServed(stage)).toBe('v1');
    expect(stage.closed.toSorted()).toEqual(['unable', 'unable pool']);
    const again = stage.reload();
    (await stage.opening(2)).finish('v2');
    expect((await again).version).toBe('v2');
  });

  it('is not replaced by the same version with fewer changes: those were lost on the disk', async () => {
    const stage = await loaded();
    const taught = stage.reload();
    (await stage.opening(1)).finish('v1@7');
    await taught;
    const poorer = stage.reload();
    (await stage.opening(2)).finish('v1@6');
    await expect(poorer).rejects.toThrow('go to sequence 7, as what is served does, but it ends at 6');
    expect(stage.served.pair?.neighbours.state.sequence).toBe(7);
    const other = stage.reload();
    (await stage.opening(3)).finish('v2@2');
    expect((await other).version).toBe('v2');
  });

  it('closes a former pair only when no request holds it, and opens no third meanwhile', async () => {
    const stage = await loaded();
    const { holds, classifier: former } = stage.served;
    if (former === undefined) throw new Error('Expected a classifier');
    holds.add(former);
    holds.add(former);
    const reloading = stage.reload();
    (await stage.opening(1)).finish('v2');
    await reloading;
    const third = stage.reload();
    holds.remove(former);
    await turn();
    expect([stage.closed, stage.openings.length]).toEqual([[], 2]);
    holds.remove(former);
    (await stage.opening(2)).finish('v3');
    expect((await third).version).toBe('v3');
    await expect.poll(() => stage.closed.toSorted()).toEqual(['v1', 'v1 pool', 'v2', 'v2 pool']);
  });

  it('closes a former pair that is held for longer than any request may take, and says so', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const stage = await loaded();
    const { holds, classifier: former } = stage.served;
    if (former === undefined) throw new Error('Expected a classifier');
    holds.add(former);
    const reloading = stage.reload();
    (await stage.opening(1)).finish('v2');
    await reloading;
    await vi.advanceTimersByTimeAsync(90_000);
    expect([stage.closed, stage.warnings]).toEqual([[], []]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(stage.closed.toSorted()).toEqual(['v1', 'v1 pool']);
    expect(stage.warnings).toEqual(['the former pair is closed although requests still hold it']);
  });

  it('is reloaded again after a former pair could not be closed, which the log says', async () => {
    const stage = await loaded({ failsToClose: 'v1' });
    for (const [number, version] of [
      [1, 'v2'],
      [2, 'v3'],
    ] as const) {
      const reloading = stage.reload();
      (await stage.opening(number)).finish(version);
      expect((await reloading).version).toBe(version);
    }
    await expect.poll(() => stage.closed.toSorted()).toEqual(['v1 pool', 'v2', 'v2 pool']);
    expect(stage.errors).toEqual(['v1 cannot be closed']);
    await stage.live.close();
    expect(stage.closed).toContain('v3');
  });

  it('goes on with the encoder of the former pair where the new one has the same', async () => {
    const stage = await loaded({ keepsPool: true });
    const reloading = stage.reload();
    (await stage.opening(1)).finish('v2');
    await reloading;
    await expect.poll(() => stage.closed).toEqual(['v1']);
    await stage.live.close();
    expect(stage.closed.toSorted()).toEqual(['v1', 'v1 pool', 'v2']);
  });

  it('says once that the calibration beside it is not its own, and answers without', async () => {
    const stage = setStage();
    const first = stage.live.load();
    (await stage.opening(0)).finish('stale');
    await first;
    expect(stage.warnings).toEqual(['calibration.json is not used: it is for v0']);
    expect(stage.served.classifier?.calibration).toBeUndefined();
  });

  it('waits for the first load before it reloads', async () => {
    const stage = setStage();
    const first = stage.live.load();
    const reloading = stage.reload();
    (await stage.opening(0)).finish('v1');
    await first;
    (await stage.opening(1)).finish('v2');
    expect((await reloading).version).toBe('v2');
  });

  it('closes what was still being opened when it closes, and reloads no more', async () => {
    const stage = await loaded();
    const reloading = expect(stage.reload()).rejects.toMatchObject({ code: 'shutting_down' });
    const during = await stage.opening(1);
    await stage.live.close();
    during.finish('v2');
    await reloading;
    expect(stage.closed.toSorted()).toEqual(['v1', 'v1 pool', 'v2', 'v2 pool']);
    expect(versionServed(stage)).toBe('v1');
    await expect(stage.reload()).rejects.toMatchObject({ code: 'shutting_down' });
    expect(stage.results).toEqual([]);
  });
});
