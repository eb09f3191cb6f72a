import { afterEach, describe, expect, it } from 'vitest';
import { createTrainingStep, type TrainingStep, type TrainingStepOptions } from '../../src/train/step.js';

const [views, size, classes] = [8, 8, 2];
const options: TrainingStepOptions = {
  architecture: { name: 'compact', widths: [4, 6] },
  inputSize: { height: size, width: size },
  mean: [0.5, 0.5, 0.5],
  std: [0.25, 0.25, 0.25],
  views,
  classes,
  temperature: 0.1,
  optimizer: { name: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
  emaDecay: 0.99,
  threads: 2,
  seed: 3,
};

const opened: TrainingStep[] = [];
async function open(changes: Partial<TrainingStepOptions> = {}): Promise<TrainingStep> {
  const training = await createTrainingStep({ ...options, ...changes });
  opened.push(training);
  return training;
}
afterEach(async () => {
  for (const training of opened.splice(0)) await training.release();
});

/** Light views of class 0 and dark ones of class 1, with a pattern that changes from step to step. */
function batch(step: number) {
  const each = size * size * 3;
  const pixels = Uint8Array.from({ length: views * each }, (_, i) => {
    const light = Math.floor(i / each) % 2 === 0 ? 160 : 20;
    return light + ((i * 31 + step * 17) % 60);
  });
  const labels = Float32Array.from({ length: views * classes }, (_, i) =>
    Math.floor(i / classes) % classes === i % classes ? 1 : 0,
  );
  return { pixels, labels, learningRate: 0.05 };
}

async function losses(training: TrainingStep, from: number, to: number): Promise<number[]> {
  const all: number[] = [];
  for (let step = from; step < to; step++) all.push((await training.step(batch(step))).loss);
  return all;
}

describe('a training step', () => {
  it('gives the same bits for the same seed, and others for another', async () => {
    const first = await losses(await open(), 0, 4);
    expect(await losses(await open(), 0, 4)).toEqual(first);
    expect(await losses(await open({ seed: 4 }), 0, 1)).not.toEqual(first.slice(0, 1));
  });

  it.each([
    ['SGD', options.optimizer],
    ['AdamW', { name: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 }],
  ] as const)('goes on from a saved state as if it had not stopped, with %s', async (_, optimizer) => {
    const whole = await open({ optimizer });
    await losses(whole, 0, 3);
    const saved = whole.state();
    const rest = await losses(whole, 3, 6);
    const resumed = await open({ optimizer, seed: 99 });
    resumed.load(saved);
    expect(await losses(resumed, 3, 6)).toEqual(rest);
    expect(resumed.state()).toEqual(whole.state());
  });

  it('gives a state that later steps leave alone', async () => {
    const training = await open();
    const before = training.state();
    const copy = before.vectors['parameters']?.slice();
    await losses(training, 0, 2);
    expect(before.vectors['parameters']).toEqual(copy);
    expect(training.state().vectors['parameters']).not.toEqual(copy);
  });

  it('tells two classes apart', async () => {
    const all = await losses(await open(), 0, 30);
    // With all views of a class in one place and the other class opposite, the three positives share the softmax: ln 3.
    expect(all[0]).toBeGreaterThan(Math.log(3) + 0.05);
    expect(all.at(-1)).toBeCloseTo(Math.log(3), 2);
  });

  it('does not hide a number that is none', async () => {
    const training = await open();
    const { vectors } = training.state();
    const damaged = (vectors['parameters'] ?? new Float32Array()).map((value, i) => (i === 5 ? NaN : value));
    training.load({ steps: 0, vectors: { ...vectors, parameters: damaged } });
    const { loss, gradientNorm } = await training.step(batch(0));
    expect(Number.isFinite(loss) && Number.isFinite(gradientNorm)).toBe(false);
  });

  it('refuses pixels that are not as many as declared, another state, and images too small', async () => {
    const training = await open();
    const { pixels, labels } = batch(0);
    await expect(training.step({ pixels: pixels.subarray(3), labels, learningRate: 0.1 })).rejects.toThrow(
      'Expected 1536 numbers of pixels but received 1533',
    );
    expect(() => training.load({ steps: 0, vectors: {} })).toThrow('Expected a state of parameters');
    const small = { inputSize: { height: 4, width: 9 } };
    await expect(open(small)).rejects.toThrow('Expected images of at least 5 pixels for compact');
  });
});
