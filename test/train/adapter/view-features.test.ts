import { describe, expect, it } from 'vitest';
import { asEmbeddings } from '../../../src/domain/embeddings.js';
import {
  embedPlain,
  embedViews,
  meanOf,
  viewOf,
  createFeatureBatches,
} from '../../../src/train/adapter/view-features.js';
import { openBackbone } from '../../../src/train/adapter/backbone.js';
import { createSampler, type BatchPlace } from '../../../src/train/sampler.js';
import { emptyFolder } from '../../encoder/folder.js';
import { countingProgress } from '../quiet-progress.js';
import { embeddingOf, features, writeTinyBackbone } from './tiny-backbone.js';

const colours = [
  [250, 0, 0],
  [0, 250, 0],
  [0, 0, 250],
  [200, 200, 0],
];

/** Images of one colour each. */
function painted(side: number) {
  const pixels = new SharedArrayBuffer(colours.length * side * side * 3);
  new Uint8Array(pixels).set(
    colours.flatMap((colour) => Array.from({ length: side * side }, () => colour).flat()),
  );
  return { pixels, side, count: colours.length };
}

async function embedded(views: number, seed = 1) {
  const { encoder } = await openBackbone(await writeTinyBackbone(await emptyFolder()), { threads: 1 });
  const progress = countingProgress();
  const result = await embedViews({
    backbone: encoder,
    plain: painted(8),
    stored: painted(10),
    views,
    operations: [
      { kind: 'randomResizedCrop', scale: [0.3, 1], ratio: [1, 1] },
      { kind: 'colourJitter', probability: 1, brightness: 0.5, contrast: 0, saturation: 0, hue: 0.2 },
    ],
    seed,
    progress,
  });
  await encoder.close();
  return { result, progress };
}

describe('the embedded views', () => {
  it('are the image as it is served, then augmented ones that all differ', async () => {
    const { result, progress } = await embedded(3);
    expect(result).toMatchObject({ views: 3, dimension: features });
    expect(progress.advanced).toBe(12);
    const rows = [0, 1, 2].map((view) => viewOf(result, view));
    expect(rows.map(({ count }) => count)).toEqual([4, 4, 4]);
    colours.flatMap(embeddingOf).forEach((value, i) => expect(rows[0]?.values[i]).toBeCloseTo(value, 5));
    for (let at = 0; at < 4 * features; at += features) {
      const seen = rows.map(({ values }) => values.slice(at, at + features).join());
      expect(new Set(seen).size).toBe(3);
    }
  });

  it('are the same whatever else is embedded, and others for another seed', async () => {
    const few = (await embedded(2)).result;
    expect(viewOf(few, 1)).toEqual(viewOf((await embedded(5)).result, 1));
    expect(viewOf(few, 1)).not.toEqual(viewOf((await embedded(2, 2)).result, 1));
  });

  it('and images that are not augmented are embedded as they are', async () => {
    const { encoder } = await openBackbone(await writeTinyBackbone(await emptyFolder()), { threads: 1 });
    const { values } = await embedPlain(encoder, painted(8), countingProgress());
    await encoder.close();
    colours.flatMap(embeddingOf).forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5));
  });

  it('have the mean of their rows', () => {
    expect([...meanOf(asEmbeddings(Float32Array.of(1, 0, 0, 1, -1, 0, 0, -1), 2))]).toEqual([0, 0]);
    expect([...meanOf(asEmbeddings(Float32Array.of(1, 0, 0, 1), 2))]).toEqual([0.5, 0.5]);
  });
});

describe('a batch of views', () => {
  const [images, views, dimension] = [6, 4, 2];
  // A row says which view of which image it is.
  const values = Float32Array.from({ length: images * views * dimension }, (_, i) =>
    i % 2 === 0 ? Math.floor(i / 2 / views) : Math.floor(i / 2) % views,
  );
  const labels = Int32Array.of(0, 1, 2, 0, 1, 2);
  const batchesOf = (seed: number) =>
    createFeatureBatches({
      embedded: { values, views, dimension },
      labels,
      classes: 3,
      sampler: createSampler({ kind: 'plain', labels, classes: 3, batch: 3, seed }),
      seed,
    });
  const places: BatchPlace[] = Array.from({ length: 40 }, (_, i) => ({ epoch: i >> 1, step: i & 1 }));

  it('has two different views of each image and its label, and in time every pair', () => {
    const sampler = createSampler({ kind: 'plain', labels, classes: 3, batch: 3, seed: 1 });
    const pairs = new Set<string>();
    for (const place of places) {
      const batch = batchesOf(1)(place);
      const chosen = [...sampler.batch(place)];
      const imagesOf = Array.from({ length: 6 }, (_, row) => batch.features[row * 2]);
      expect(imagesOf).toEqual([...chosen, ...chosen]);
      for (let row = 0; row < 3; row++) {
        const [first, second] = [batch.features[row * 2 + 1], batch.features[(row + 3) * 2 + 1]];
        expect(first).not.toBe(second);
        pairs.add(`${String(first)},${String(second)}`);
      }
      expect([...batch.labels]).toEqual(
        [...chosen, ...chosen].flatMap((image) =>
          [0, 1, 2].map((label) => (labels[image] === label ? 1 : 0)),
        ),
      );
    }
    expect(pairs.size).toBe(views * (views - 1));
  });

  it('is a function of seed and place alone', () => {
    const [batchOf, place] = [batchesOf(1), { epoch: 3, step: 1 }];
    const batch = batchOf(place);
    batchOf({ epoch: 0, step: 0 });
    expect(batchOf(place)).toEqual(batch);
    expect(batchesOf(1)(place)).toEqual(batch);
    expect(batchesOf(2)(place).features).not.toEqual(batch.features);
  });
});
