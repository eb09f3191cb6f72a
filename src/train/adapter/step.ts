import { Tensor } from '../../onnx/session.js';
import type { Learner } from '../learner.js';
import { expectLength, openStepSession } from '../step-session.js';
import { stateVectors } from '../training-graph.js';
import type { FeatureBatch } from './feature-batches.js';
import { adapterLayout, initialAdapter } from './layout.js';
import { adapterGraph, type AdapterGraphOptions } from './training-graph.js';

export interface AdapterStepOptions extends Omit<AdapterGraphOptions, 'ema' | 'withGradient'> {
  /** Of the average of the weights; left out, none is kept. */
  readonly emaDecay?: number | undefined;
  readonly threads: number;
  readonly seed: number;
}

export interface AdapterStep extends Learner<Pick<FeatureBatch, 'features' | 'labels'>> {
  release(): Promise<void>;
}

/** Opens the training of an adapter: the same options, seed and batches give the same bits with as many threads. */
export async function createAdapterStep(options: AdapterStepOptions): Promise<AdapterStep> {
  const { shape, views, classes, seed } = options;
  const graph = { ...options, layout: adapterLayout(shape), ema: options.emaDecay !== undefined };
  const session = await openStepSession({
    ...options,
    model: adapterGraph(graph),
    vectors: stateVectors(graph),
    first: { parameters: initialAdapter(shape, seed) },
  });
  return {
    ...session,
    step: async ({ features, labels, learningRate }) => {
      expectLength('features', features.length, views * shape.features);
      expectLength('labels', labels.length, views * classes);
      const inputs = {
        features: new Tensor('float32', features, [views, shape.features]),
        labels: new Tensor('float32', labels, [views, classes]),
      };
      return session.step(inputs, learningRate);
    },
  };
}
