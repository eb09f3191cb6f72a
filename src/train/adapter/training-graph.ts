import { tensorInfo } from '../../onnx/model.js';
import { l2Normalise } from '../graph/rows.js';
import { reshaped } from '../graph/shape.js';
import { supconLoss } from '../graph/supcon-loss.js';
import { createTape, sizeOf } from '../graph/tape.js';
import { known, splitParameters, stepModel, type StepModelOptions } from '../training-graph.js';
import { adapted } from './forward.js';
import { adapterLayout, type AdapterShape } from './layout.js';

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
