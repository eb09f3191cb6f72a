import { describe, expect, it } from 'vitest';
import { createFeatureBatches, type FeatureBatch } from '../../../src/train/adapter/view-features.js';
import { createAdapterStep, type AdapterStepOptions } from '../../../src/train/adapter/step.js';
import { readCheckpoint, writeCheckpoint, type Checkpoint } from '../../../src/train/checkpoint.js';
import { runLoop, type LoopConfig } from '../../../src/train/loop.js';
import { createSampler, placeAfter } from '../../../src/train/sampler.js';
import { emptyFolder } from '../../encoder/folder.js';
import { numbers } from './naive-adapter.js';

const [images, views, features, classes, batch] = [12, 3, 4, 3, 5];
const labels = Int32Array.from({ length: images }, (_, i) => i % classes);
/** Views of a label point its way, more or less. */
const rows = numbers(images * views * features, 1).map(
  (value, i) => 0.3 * value + (i % features === Math.floor(i / features / views) % classes ? 0.4 : 0),
);
const options: AdapterStepOptions = {
  shape: { kind: 'mlp', features, dimension: 3, hidden: 6 },
  centre: new Float32Array(features),
  views: 2 * batch,
  classes,
  temperature: 0.2,
  optimizer: { name: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 },
  emaDecay: 0.9,
  threads: 1,
  seed: 4,
};
const sampler = createSampler({ kind: 'plain', labels, classes, batch, seed: 4 });
const batchOf = createFeatureBatches({
  embedded: { values: rows, views, dimension: features },
  labels,
  classes,
  sampler,
  seed: 4,
});
const config: LoopConfig = {
  name: 'toy',
  epochs: 6,
  optimizer: { learningRate: 0.02 },
  schedule: { kind: 'cosine', warmUp: 0.1, final: 0 },
  validation: { every: 1, k: 1, temperature: 0.07, metric: 'precision@1' },
  checkpoint: { everyMinutes: 1e9 },
};
const hash = 'c'.repeat(64);

interface Trained {
  readonly last: Checkpoint;
  readonly losses: readonly number[];
}

async function train(
  from?: Checkpoint,
  most = Infinity,
  change = (made: FeatureBatch) => made,
): Promise<Trained> {
  const learner = await createAdapterStep(options);
  if (from !== undefined) learner.load({ steps: from.step, vectors: from.tensors });
  let place = from?.place ?? { epoch: 0, step: 0 };
  const losses: number[] = [];
  try {
    const { last } = await runLoop({
      config,
      hash,
      learner,
      batchesPerEpoch: sampler.batchesPerEpoch,
      nextBatch: () => {
        const made = change(batchOf(place));
        place = placeAfter(place, sampler.batchesPerEpoch);
        return Promise.resolve(made);
      },
      from,
      saveLast: () => Promise.resolve(),
      saveBest: () => Promise.resolve(),
      onStep: ({ loss }) => Promise.resolve(void losses.push(loss)),
      onEpoch: () => Promise.resolve(),
      now: () => 0,
      stopping: () => losses.length >= most,
    });
    return { last, losses };
  } finally {
    await learner.release();
  }
}

describe('training an adapter', () => {
  it('brings the loss down, and is the same bits every time', async () => {
    const { losses, last } = await train();
    expect(losses).toHaveLength(12);
    const mean = (values: readonly number[]): number =>
      values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(losses.slice(-4))).toBeLessThan(mean(losses.slice(0, 4)));
    const again = await train();
    expect(again.losses).toEqual(losses);
    expect(again.last.tensors).toEqual(last.tensors);
  });

  it('that stopped within an epoch goes on from its file bit for bit', async () => {
    const whole = await train();
    const stopped = await train(undefined, 5);
    const path = `${await emptyFolder()}/last.checkpoint`;
    await writeCheckpoint(path, stopped.last);
    const from = await readCheckpoint(path, { name: 'toy', hash });
    expect(from?.place).toEqual({ epoch: 2, step: 1 });
    const rest = await train(from);
    expect([...stopped.losses, ...rest.losses]).toEqual(whole.losses);
    expect(rest.last.tensors).toEqual(whole.last.tensors);
    expect(rest.last.history).toEqual(whole.last.history);
  });

  it('stops at a number that is none', async () => {
    const broken = train(undefined, Infinity, ({ features: rows, ...rest }) => ({
      ...rest,
      features: rows.map((value, i) => (i === 0 ? NaN : value)),
    }));
    await expect(broken).rejects.toMatchObject({ code: 'training_diverged' });
  });

  it('refuses batches and states of another size', async () => {
    const learner = await createAdapterStep(options);
    const made = { ...batchOf({ epoch: 0, step: 0 }), learningRate: 0.1 };
    const short = { ...made, features: made.features.subarray(1) };
    await expect(learner.step(short)).rejects.toMatchObject({ code: 'usage' });
    await expect(learner.step({ ...made, labels: made.labels.subarray(1) })).rejects.toMatchObject({
      code: 'usage',
    });
    const { vectors } = learner.state();
    expect(Object.keys(vectors).toSorted()).toEqual([
      'ema.parameters',
      'firstMoment',
      'parameters',
      'secondMoment',
    ]);
    expect(() => learner.load({ steps: 1, vectors: { parameters: new Float32Array(3) } })).toThrow(
      /Expected a state/,
    );
    await learner.release();
  });
});
