import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/domain/seeded-random.js';
import type { ArchitectureOptions } from '../../src/train/architecture.js';
import { chooseKernels } from '../../src/train/graph/blocked-kernels.js';
import { plainKernels } from '../../src/train/graph/kernels.js';
import type { OptimizerOptions } from '../../src/train/optimizer.js';
import { createTrainingStep, type TrainingStep } from '../../src/train/step.js';
import { freeze } from '../../src/train/freeze.js';
import { embed } from './embed.js';
import { gradientOf, relativeError } from './whole-gradient.js';

interface Case {
  /** Two projections for each parameter. */
  readonly gradient: readonly (readonly number[])[];
  readonly steps: readonly {
    readonly loss: number;
    readonly gradientNorm: number;
    readonly parameters: number;
    readonly average: number;
  }[];
  readonly statistics: readonly number[];
  readonly statisticsAverage: readonly number[];
  /** Of the first three images and the first one, by the last step's weights, in evaluation mode. */
  readonly embeddings: readonly number[];
  readonly projections: readonly number[];
}

const recorded = JSON.parse(
  readFileSync(new URL('reference/reference.json', import.meta.url), 'utf8'),
) as Record<string, Case>;

const [views, classes, size] = [12, 3, 9];
const sgd: OptimizerOptions = { name: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.05 };
const adamw: OptimizerOptions = { name: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.05 };

interface Network {
  readonly architecture: ArchitectureOptions;
  readonly optimizer: OptimizerOptions;
  readonly clipNorm?: number;
  readonly learningRate: number;
}

const networks: Record<string, Network> = {
  compact: { architecture: { name: 'compact', widths: [4, 6, 6] }, optimizer: sgd, learningRate: 0.1 },
  resnet20: { architecture: { name: 'resnet20', width: 2 }, optimizer: sgd, clipNorm: 1, learningRate: 0.1 },
  resnet18: { architecture: { name: 'resnet18', width: 2 }, optimizer: adamw, learningRate: 0.01 },
};

const native = await chooseKernels();
const kinds = native.block === 1 ? [plainKernels] : [plainKernels, native];

let training: TrainingStep | undefined;
afterEach(async () => {
  await training?.release();
  training = undefined;
});

for (const kernels of kinds) {
  describe(`a small network with channels in blocks of ${kernels.block}`, () => {
    it.each(Object.entries(networks))('trains %s as PyTorch does', async (name, network) => {
      const { architecture, optimizer, clipNorm, learningRate } = network;
      const expected = recorded[name];
      if (expected === undefined) throw new Error(`nothing recorded of ${name}`);
      const options = {
        architecture,
        optimizer,
        clipNorm,
        kernels,
        inputSize: { height: size, width: size },
        mean: [0.5, 0.4, 0.3],
        std: [0.25, 0.2, 0.3],
        views,
        classes,
        temperature: 0.2,
        emaDecay: 0.999,
        threads: 1,
        seed: 1,
      };
      training = await createTrainingStep(options);
      // The formulas of reference/make_reference.py.
      const draw = seededRandom(7);
      const parameters = Float32Array.from(
        training.layout.parameters.flatMap(({ shape }) =>
          Array.from(
            { length: shape.reduce((a, b) => a * b, 1) },
            () => draw() - (shape.length > 1 ? 0.5 : -0.5),
          ),
        ),
      );
      const start = training.state().vectors;
      training.load({
        steps: 0,
        vectors: { ...start, parameters, 'ema.parameters': parameters.slice() },
      });
      const drawPixel = seededRandom(8);
      const pixels = Uint8Array.from({ length: views * size * size * 3 }, () => drawPixel() * 256);
      const labels = Float32Array.from({ length: views * classes }, (_, i) =>
        Math.floor(i / classes) % classes === i % classes ? 1 : 0,
      );

      const gradient = await gradientOf({ options, parameters, pixels, labels });
      let offset = 0;
      const sketches = training.layout.parameters.map(({ shape }) => {
        const end = offset + shape.reduce((a, b) => a * b, 1);
        const own = gradient.subarray(offset, end);
        offset = end;
        return [0, 1].map((k) => own.reduce((sum, g, i) => sum + g * Math.cos(i * (k + 1) + k), 0));
      });
      expect(relativeError(sketches.flat(), expected.gradient.flat())).toBeLessThan(1e-4);

      for (const step of expected.steps) {
        const { loss, gradientNorm } = await training.step({ pixels, labels, learningRate });
        expect(loss / step.loss).toBeCloseTo(1, 4);
        expect(gradientNorm / step.gradientNorm).toBeCloseTo(1, 3);
        const { vectors } = training.state();
        expect(checksum(vectors['parameters'])).toBeCloseTo(step.parameters, 2);
        expect(checksum(vectors['ema.parameters'])).toBeCloseTo(step.average, 2);
      }
      const { vectors } = training.state();
      expect(relativeError(vectors['statistics'] ?? [], expected.statistics)).toBeLessThan(1e-3);
      expect(relativeError(vectors['ema.statistics'] ?? [], expected.statisticsAverage)).toBeLessThan(1e-3);

      const frozen = { ...options, state: training.state(), weights: 'last' } as const;
      const folded = await embed(freeze(frozen).bytes, pixels, size);
      expect(relativeError(folded.slice(0, expected.embeddings.length), expected.embeddings)).toBeLessThan(
        2e-3,
      );
      expect(
        relativeError(folded, await embed(freeze({ ...frozen, unfolded: true }).bytes, pixels, size)),
      ).toBeLessThan(1e-5);
      const projected = await embed(freeze({ ...frozen, head: true }).bytes, pixels, size);
      expect(relativeError(projected.slice(0, 128), expected.projections)).toBeLessThan(2e-3);
      const averaged = await embed(freeze({ ...frozen, weights: 'ema' }).bytes, pixels, size);
      expect(relativeError(averaged, folded)).toBeGreaterThan(1e-4);
    });
  });
}

/** A sum that every number has its own weight in. */
function checksum(values: Float32Array | undefined): number {
  return (values ?? new Float32Array()).reduce((sum, value, i) => sum + value * Math.cos(i), 0);
}
