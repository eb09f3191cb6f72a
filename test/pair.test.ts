import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSharedPools } from '../src/encoder/pool/shared-pools.js';
import { classifierOf, openPair, type OpenPair } from '../src/pair.js';
import { writeDrawnEncoder } from './cli/drawn-encoder.js';
import { writeSmallIndex } from './cli/small-index.js';
import { childrenRunning } from './processes/children-running.js';
import { drawColour } from './server/colour-classifier.js';

let base = '';
const pairs: OpenPair[] = [];
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-pair-'));
});
afterEach(async () => {
  await Promise.all(pairs.splice(0).map(close));
  await rm(base, { recursive: true });
});

const close = (pair: OpenPair): Promise<unknown> => Promise.all([pair.pool.close(), pair.neighbours.close()]);

/** An encoder that looks at red and green, or the other way round. */
async function writeEncoder(name: string, [red, green]: readonly [number, number] = [1, 0]): Promise<void> {
  const weights = [
    [red, green],
    [green, red],
    [0, 0],
  ] as const;
  await writeDrawnEncoder({ dir: join(base, name), name, weights });
}

async function writeIndex(name: string, encoder: string): Promise<void> {
  const images = [
    { label: `red of ${name}`, bytes: await drawColour('red') },
    { label: `green of ${name}`, bytes: await drawColour('lime') },
  ];
  await writeSmallIndex({ root: join(base, name), encoderDir: join(base, encoder), images });
}

const pools = createSharedPools();
async function open(index: string, name?: string): Promise<OpenPair> {
  const pair = await openPair({
    ...{ index: join(base, index), name, models: base, search: 'exact', pools },
    ...{ workers: 2, threads: 1, maxQueue: 10 },
  });
  pairs.push(pair);
  return pair;
}

async function labelOfRed(pair: OpenPair): Promise<string> {
  const defaults = { k: 1, rule: 'majority', temperature: 1, priorCorrection: false } as const;
  const classifier = classifierOf(pair, { defaults, calibration: undefined });
  return (await classifier.classify(await drawColour('red'))).decision.label;
}

const workers = (): number => childrenRunning('encoder/pool/worker').length;

// Processes are counted in /proc.
describe.skipIf(process.platform !== 'linux')('pairs of one process', () => {
  it('share the workers of an encoder, which end with the last pair that uses it', async () => {
    await writeEncoder('encoder');
    for (const name of ['leaves', 'flowers']) await writeIndex(name, 'encoder');
    const [leaves, flowers] = await Promise.all([open('leaves'), open('flowers')]);
    expect([workers(), childrenRunning('index-process').length]).toEqual([2, 2]);
    expect([await labelOfRed(leaves), await labelOfRed(flowers)]).toEqual([
      'red of leaves',
      'red of flowers',
    ]);
    await close(leaves);
    expect([workers(), await labelOfRed(flowers)]).toEqual([2, 'red of flowers']);
    await close(flowers);
    await expect.poll(workers).toBe(0);
  });

  it('have workers each where their encoders differ, and each index is searched with its own', async () => {
    await writeEncoder('encoder');
    await writeEncoder('mirrored', [0, 1]);
    await writeIndex('leaves', 'encoder');
    await writeIndex('flowers', 'mirrored');
    const [leaves, flowers] = await Promise.all([open('leaves'), open('flowers')]);
    expect(workers()).toBe(4);
    expect([await labelOfRed(leaves), await labelOfRed(flowers)]).toEqual([
      'red of leaves',
      'red of flowers',
    ]);
  });

  it('leave the workers to the other where one of two cannot be opened', async () => {
    await writeEncoder('encoder');
    for (const name of ['leaves', 'flowers']) await writeIndex(name, 'encoder');
    await rm(join(base, 'flowers', 'v1', 'embeddings.f32'));
    const [leaves, flowers] = await Promise.allSettled([open('leaves'), open('flowers')]);
    expect(flowers).toMatchObject({ status: 'rejected', reason: { code: 'index_invalid' } });
    if (leaves.status === 'rejected') throw leaves.reason;
    expect([workers(), await labelOfRed(leaves.value)]).toEqual([2, 'red of leaves']);
  });

  it('are called as they were told, and as their folder otherwise', async () => {
    await writeEncoder('encoder');
    await writeIndex('leaves', 'encoder');
    const [told, folder] = await Promise.all([open('leaves', 'autumn'), open('leaves')]);
    expect([told.published.name, told.neighbours.version.name]).toEqual(['autumn', 'autumn']);
    expect(folder.neighbours.version.name).toBe('leaves');
  });
});
