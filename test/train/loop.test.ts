import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/train/checkpoint.js';
import { parseTrainConfig } from '../../src/train/config/read-config.js';
import type { Learner, StepInput, TrainingState } from '../../src/train/learner.js';
import { runLoop, type Figures, type LoopOptions } from '../../src/train/loop.js';
import { placeAfter, type BatchPlace } from '../../src/train/sampler.js';

const batchesPerEpoch = 5;

function configOf(more = ''): LoopOptions['config'] {
  const text = `
name: toy
data: { train: photos, validation: { holdOut: 0.2 } }
model: { architecture: compact, inputSize: 32 }
epochs: 4
batch: 2
optimizer: { kind: sgd, learningRate: 0.5 }
validation: { every: 1 }
augment: []
${more}`;
  return parseTrainConfig(text, 'toy.yml');
}

/** One weight that moves by its gradient and by what it is shown: any lost or repeated step changes all that follow. */
function createToyLearner(): Learner & { readonly rates: number[]; loss: (honest: number) => number } {
  let weight = 1;
  let steps = 0;
  const learner = {
    rates: [] as number[],
    loss: (honest: number) => honest,
    step: ({ pixels, learningRate }: StepInput) => {
      learner.rates.push(learningRate);
      const gradient = weight - (pixels[0] ?? 0) / 10;
      const loss = learner.loss(gradient ** 2);
      weight = Math.fround(weight - 0.1 * learningRate * gradient);
      steps++;
      return Promise.resolve({ loss, gradientNorm: Math.abs(gradient) });
    },
    state: (): TrainingState => ({ steps, vectors: { parameters: Float32Array.of(weight) } }),
    load: (state: TrainingState) => {
      steps = state.steps;
      weight = state.vectors.parameters?.[0] ?? NaN;
    },
  };
  return learner;
}

interface Run {
  readonly options: LoopOptions;
  readonly learner: ReturnType<typeof createToyLearner>;
  readonly losses: number[];
  readonly epochs: Figures[];
  readonly saved: { last: Checkpoint[]; best: Checkpoint[] };
  clock: number;
}

function createRun(more: Partial<LoopOptions> & { secondsPerStep?: number } = {}): Run {
  const learner = createToyLearner();
  const { from, secondsPerStep = 1 } = more;
  if (from !== undefined) learner.load({ steps: from.step, vectors: from.tensors });
  let place: BatchPlace = from?.place ?? { epoch: 0, step: 0 };
  const run: Run = {
    learner,
    losses: [],
    epochs: [],
    saved: { last: [], best: [] },
    clock: 100,
    options: {
      config: configOf(),
      hash: 'a'.repeat(64),
      learner,
      batchesPerEpoch,
      nextBatch: () => {
        const pixels = Uint8Array.of(place.epoch * 7 + place.step * 3);
        const batch = { place, images: new Int32Array(2), pixels, labels: new Float32Array(4) };
        place = placeAfter(place, batchesPerEpoch);
        return Promise.resolve(batch);
      },
      saveLast: (checkpoint) => Promise.resolve(void run.saved.last.push(checkpoint)),
      saveBest: (checkpoint) => Promise.resolve(void run.saved.best.push(checkpoint)),
      onStep: ({ loss }) => {
        run.losses.push(loss);
        run.clock += secondsPerStep;
        return Promise.resolve();
      },
      onEpoch: (figures) => Promise.resolve(void run.epochs.push(figures)),
      now: () => run.clock,
      stopping: () => false,
      ...more,
    },
  };
  return run;
}

/** Gives these values of precision@1 one after another. */
function scripted(values: readonly number[]): NonNullable<LoopOptions['validate']> {
  const left = [...values];
  return () => Promise.resolve({ 'precision@1': left.shift() ?? 0 });
}

describe('the loop', () => {
  it('takes every step of every epoch, along the schedule, and ends', async () => {
    const run = createRun();
    const { ended, last } = await runLoop(run.options);
    expect(ended).toBe('epochs');
    expect(run.losses).toHaveLength(20);
    expect(run.epochs.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 5],
      [2, 10],
      [3, 15],
      [4, 20],
    ]);
    // 5 % of 20 steps is one: it starts at 0, is at its highest in the second, and falls along half a cosine.
    expect(run.learner.rates[0]).toBe(0);
    expect(run.learner.rates[1]).toBe(0.5);
    expect(run.learner.rates[19]).toBeCloseTo(0.25 * (1 + Math.cos((Math.PI * 18) / 19)), 10);
    expect(last).toMatchObject({ step: 20, place: { epoch: 4, step: 0 }, elapsedSeconds: 20 });
  });

  it.each([1, 4, 5, 7, 19])('goes on after %i steps as if it had never stopped', async (steps) => {
    const whole = createRun();
    await runLoop(whole.options);

    const first: Run = createRun({ stopping: () => first.losses.length >= steps });
    const stopped = await runLoop(first.options);
    expect(stopped.ended).toBe('stopped');
    expect(stopped.last.step).toBe(steps);
    const second = createRun({ from: stopped.last });
    const { last } = await runLoop(second.options);
    expect([...first.losses, ...second.losses]).toEqual(whole.losses);
    expect(last.tensors).toEqual(whole.saved.last.at(-1)?.tensors);
    expect(last.history).toEqual(whole.saved.last.at(-1)?.history);
  });

  it('that has ended already trains nothing more', async () => {
    const run = createRun();
    const { last } = await runLoop(run.options);
    const again = createRun({ from: last });
    expect((await runLoop(again.options)).ended).toBe('epochs');
    expect(again.losses).toEqual([]);
    expect(again.saved.last).toEqual([]);
  });

  it('ends with its budget, annealed, and validates what it has then', async () => {
    const config = { ...configOf(), budget: 8 };
    const run = createRun({ config, validate: scripted([0.1, 0.2]) });
    const { ended } = await runLoop(run.options);
    expect(ended).toBe('budget');
    expect(run.losses).toHaveLength(8);
    expect(run.learner.rates[7]).toBeLessThan(0.05);
    expect(run.epochs.at(-1)).toMatchObject({ step: 8, 'precision@1': 0.2 });
  });

  it('saves when it is time to, and the best when there is one', async () => {
    const config = configOf('checkpoint: { everyMinutes: 0.05 }');
    const run = createRun({ config, validate: scripted([0.4, 0.6, 0.5, 0.6]) });
    await runLoop(run.options);
    expect(run.saved.best.map(({ step, best }) => [step, best?.value])).toEqual([
      [5, 0.4],
      [10, 0.6],
    ]);
    // Every 3 seconds, and with each validation.
    expect(run.saved.last.map(({ step }) => step)).toEqual([3, 5, 8, 10, 13, 15, 18, 20]);
  });

  it('keeps, of validations that are equal by the metric, the one with the highest MAP@R, and of equal ones the first', async () => {
    const values = [0.2, 0.3, 0.3, 0.1];
    const validate = () => Promise.resolve({ 'precision@1': 0.8, 'MAP@R': values.shift() ?? NaN });
    const first: Run = createRun({ validate, stopping: () => first.losses.length >= 7 });
    const { last } = await runLoop(first.options);
    const second = createRun({ validate, from: last });
    await runLoop(second.options);
    expect([...first.saved.best, ...second.saved.best].map(({ step }) => step)).toEqual([5, 10]);
  });

  it('stops early where nothing gets better, counting over an interruption', async () => {
    const config = configOf('earlyStopping: { patience: 2 }');
    const run = createRun({ config, validate: scripted([0.5, 0.4, 0.5, 0.9]) });
    expect((await runLoop(run.options)).ended).toBe('early-stopping');
    expect(run.losses).toHaveLength(15);

    const first: Run = createRun({
      config,
      validate: scripted([0.5, 0.4]),
      stopping: () => first.losses.length >= 11,
    });
    const { last } = await runLoop(first.options);
    const second = createRun({ config, from: last, validate: scripted([0.3, 0.9]) });
    expect((await runLoop(second.options)).ended).toBe('early-stopping');
    expect(second.losses).toHaveLength(4);
    // Killed before its encoder was written: it ends where it had ended.
    const third = createRun({ config, from: second.saved.last.at(-1) });
    expect((await runLoop(third.options)).ended).toBe('early-stopping');
    expect(third.losses).toEqual([]);
  });

  it('saves no weights that are not finite, though loss and gradient were', async () => {
    const config = configOf('checkpoint: { everyMinutes: 0.05 }');
    const run = createRun({ config });
    const state = run.learner.state.bind(run.learner);
    run.learner.state = () =>
      run.losses.length < 6 ? state() : { steps: 6, vectors: { parameters: Float32Array.of(Infinity) } };
    await expect(runLoop(run.options)).rejects.toMatchObject({
      code: 'training_diverged',
      message: expect.stringContaining('the checkpoint of step 3 is kept') as string,
    });
    expect(run.saved.last.map(({ step }) => step)).toEqual([3]);
  });

  it('gives up on a loss that is not finite, and keeps the last good checkpoint', async () => {
    const config = configOf('checkpoint: { everyMinutes: 0.05 }');
    const run = createRun({ config });
    run.learner.loss = (honest) => (run.losses.length === 7 ? NaN : honest);
    await expect(runLoop(run.options)).rejects.toMatchObject({
      code: 'training_diverged',
      message: expect.stringMatching(
        /step 8 gave loss NaN.*checkpoint of step 6 is kept.*learningRate/,
      ) as string,
    });
    expect(run.saved.last.at(-1)?.step).toBe(6);
  });
});
