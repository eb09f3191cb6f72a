import { tensorInfo } from '../../onnx/model.js';
import { Tensor } from '../../onnx/session.js';
import { l2Normalise, reshaped } from '../graph/operations.js';
import { supconLoss } from '../graph/supcon-loss.js';
import { createTape, sizeOf } from '../graph/tape.js';
import { expectLength, openStepSession, type Learner } from '../learner.js';
import { known, splitParameters, stateVectors, stepModel, type StepModelOptions } from '../training-graph.js';
import { adapted, adapterLayout, initialAdapter, type AdapterShape } from './adapter.js';
import type { FeatureBatch } from './view-features.js';

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

export interface AdapterGraphOptions extends Pick<
  StepModelOptions,
  'optimizer' | 'clipNorm' | 'ema' | 'withGradient'
> {
  readonly shape: AdapterShape;
  /** Mean of the embeddings, `[features]`. */
  readonly centre: Float32Array;
  /** Rows a step: N images seen twice are 2N. */
  readonly views: number;
  readonly classes: number;
  readonly temperature: number;
}

/**
 * One training step of an adapter as one ONNX graph. Inputs: `features` float32 `[views, features]`, `labels` float32
 * `[views, classes]`, and what `stepModel` adds.
 */
export function adapterGraph(options: AdapterGraphOptions): Uint8Array {
  const { shape, centre, views, classes, temperature } = options;
  const layout = adapterLayout(shape);
  const tape = createTape();
  const parameters = splitParameters(tape, 'parameters', layout.parameters);
  const features = { name: 'features', shape: [views, shape.features] };
  const parameter = (name: string) => known(parameters, name);
  const embeddings = l2Normalise(tape, adapted(tape, features, { kind: shape.kind, parameter, centre }));
  const labels = { name: 'labels', shape: [views, classes] };
  const loss = supconLoss(tape, { embeddings, labels, temperature });
  const byParameter = tape.backward(loss);
  const flat = layout.parameters.map((spec) =>
    reshaped(tape, byParameter.get(parameter(spec.name)) ?? '', [sizeOf(spec.shape)]),
  );
  return stepModel(tape, {
    ...options,
    layout,
    name: `train-${shape.kind}-adapter`,
    inputs: [
      tensorInfo({ name: 'features', elementType: 'float32', dims: features.shape }),
      tensorInfo({ name: 'labels', elementType: 'float32', dims: labels.shape }),
    ],
    loss,
    gradient: tape.emit('Concat', flat, { attributes: { axis: 0 } }),
    batches: new Map(),
  });
}
