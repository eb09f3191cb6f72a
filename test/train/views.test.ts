import { once } from 'node:events';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  createViewMaker,
  createViewPool,
  type ViewBatch,
  type ViewPoolOptions,
} from '../../src/train/views.js';
import { createSampler, placeAfter } from '../../src/train/sampler.js';
import { drawnViews } from './drawn-views.js';

const workerFile = pathToFileURL(fileURLToPath(new URL('../../dist/train/view-worker.js', import.meta.url)));
const scripted = new URL('./scripted-view-worker.mjs', import.meta.url);
const views = drawnViews();
const sampler = createSampler({ kind: 'plain', labels: views.images.labels, classes: 4, batch: 8, seed: 3 });

function open(changes: Partial<ViewPoolOptions> = {}) {
  const from = { epoch: 0, step: 0 };
  return createViewPool({ views, sampler, from, workers: 1, workerFile, ...changes });
}

describe('the views of a batch', () => {
  const makeViews = createViewMaker(views);
  const place = { epoch: 1, step: 2 };
  const images = Int32Array.of(5, 0, 7);
  const batch = makeViews(place, images);
  const viewBytes = 8 * 8 * 3;
  const view = ({ pixels }: ViewBatch, row: number) => [
    ...pixels.subarray(row * viewBytes, (row + 1) * viewBytes),
  ];

  it('are two of each image, first one of all, then the other, with the label rows of their classes', () => {
    expect(batch.pixels).toHaveLength(6 * viewBytes);
    const one = [0, 1, 0, 0]; // image 5 is of class 1, 0 of 0, 7 of 3
    const rows = [...one, 1, 0, 0, 0, 0, 0, 0, 1];
    expect([...batch.labels]).toEqual([...rows, ...rows]);
    const mean = (row: number) => view(batch, row).reduce((sum, value) => sum + value, 0) / viewBytes;
    for (let row = 0; row < 3; row++) {
      expect(view(batch, row)).not.toEqual(view(batch, row + 3));
      // Brightness and contrast change a mean of noise by a factor of 0.6 to 1.4 each, contrast around itself.
      expect(mean(row)).toBeGreaterThan(0.5 * 127);
    }
  });

  it('depend on the seed and the place alone, not on what was made before', () => {
    expect(createViewMaker(drawnViews())(place, images)).toEqual(batch);
    expect(view(makeViews({ epoch: 2, step: 2 }, images), 0)).not.toEqual(view(batch, 0));
    expect(view(createViewMaker(drawnViews({ seed: 4 }))(place, images), 0)).not.toEqual(view(batch, 0));
  });

  it('differ for an image that a batch has twice', () => {
    const twice = makeViews(place, Int32Array.of(5, 5));
    const all = [0, 1, 2, 3].map((row) => view(twice, row).join());
    expect(new Set(all).size).toBe(4);
  });

  it('are the images themselves where nothing is to be done', () => {
    const plain = createViewMaker(drawnViews({ operations: [], inputSize: 10 }))(place, images);
    const stored = new Uint8Array(views.images.pixels, 5 * 300, 300);
    expect([...plain.pixels.subarray(0, 300)]).toEqual([...stored]);
  });

  it('are mixed, and their label rows with them', () => {
    const mixed = createViewMaker(drawnViews({ mix: { kind: 'mixup', alpha: 1, probability: 1 } }))(
      place,
      images,
    );
    for (let row = 0; row < 6; row++) {
      const labels = mixed.labels.subarray(row * 4, row * 4 + 4);
      expect(labels.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
    }
    expect(mixed.labels.some((share) => share > 0 && share < 1)).toBe(true);
    expect(mixed.pixels).not.toEqual(batch.pixels);
  });
});

describe('threads that make views', () => {
  it.each([1, 3])(
    'hand out the batches in order, the same as without threads: %i of them',
    async (workers) => {
      const pool = open({ workers });
      const makeViews = createViewMaker(views);
      let place = { epoch: 0, step: 0 };
      for (let i = 0; i < 8; i++) {
        expect(await pool.next()).toEqual(makeViews(place, sampler.batch(place)));
        place = placeAfter(place, sampler.batchesPerEpoch);
      }
      await pool.close();
    },
  );

  it('go on from anywhere', async () => {
    const from = { epoch: 4, step: 2 };
    const pool = open({ from });
    expect(await pool.next()).toEqual(createViewMaker(views)(from, sampler.batch(from)));
    expect((await pool.next()).place).toEqual({ epoch: 5, step: 0 });
    await pool.close();
  });

  it('are at most two batches ahead', async () => {
    const asked: number[] = [];
    const counted = {
      ...sampler,
      batch: (place: { epoch: number; step: number }) => {
        asked.push(place.epoch * sampler.batchesPerEpoch + place.step);
        return sampler.batch(place);
      },
    };
    const pool = open({ sampler: counted });
    expect(asked).toEqual([0, 1]);
    await pool.next();
    expect(asked).toEqual([0, 1, 2]);
    await pool.next();
    expect(asked).toEqual([0, 1, 2, 3]);
    await pool.close();
  });

  it('tell of a failure, at the batch that failed and ever after', async () => {
    const pool = open({ workerFile: scripted });
    expect((await pool.next()).place).toEqual({ epoch: 0, step: 0 });
    await expect(pool.next()).rejects.toMatchObject({
      code: 'worker_failed',
      message: 'A thread that makes views failed: scripted failure',
    });
    await expect(pool.next()).rejects.toMatchObject({ code: 'worker_failed' });
    await pool.close();
  });

  it('tell of a thread that cannot start, and of one that ends', async () => {
    const missing = open({ workerFile: new URL('./no-such-worker.mjs', import.meta.url) });
    await expect(missing.next()).rejects.toMatchObject({ code: 'worker_failed' });
    await missing.close();
    const ended = open({ workerFile: scripted, from: { epoch: 9, step: 0 } });
    await expect(ended.next()).rejects.toThrow('A thread that makes views failed: exit code 7');
    await ended.close();
  });

  it('refuse whoever waits when they are closed', async () => {
    const pool = open({ workerFile: scripted, from: { epoch: 8, step: 0 } });
    const waiting = expect(pool.next()).rejects.toMatchObject({ code: 'shutting_down' });
    await pool.close();
    await waiting;
    await expect(pool.next()).rejects.toMatchObject({ code: 'shutting_down' });
  });
});

describe('the thread itself', () => {
  it('answers with what went wrong', async () => {
    const broken = { ...views, images: { ...views.images, pixels: 'no pixels' } };
    const worker = new Worker(workerFile, { workerData: broken });
    const place = { epoch: 0, step: 0 };
    worker.postMessage({ number: 5, place, images: 'no images' });
    const [reply] = (await once(worker, 'message')) as [{ number: number; failure: string }];
    expect(reply.number).toBe(5);
    expect(reply.failure).not.toBe('');
    await worker.terminate();
  });
});
