import { encodeModel, model, tensorInfo } from '../onnx/model.js';
import { architectureOf, type ArchitectureOptions } from './architectures/architecture.js';
import { parameterLayout, projectionDimension, sizeOfSpec } from './architectures/parameters.js';
import type { TensorSpec } from './architectures/parameters.js';
import { frozenLayers } from './frozen-layers.js';
import { createTape } from './graph/tape.js';
import type { TrainingState } from './learner.js';

export interface FreezeOptions {
  readonly architecture: ArchitectureOptions;
  readonly inputSize: { readonly height: number; readonly width: number };
  /** By channel, of pixels scaled to 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly state: TrainingState;
  /** The averaged weights with the averaged running statistics, or those of the last step. */
  readonly weights: 'ema' | 'last';
  /** With the projection head, to see what it does to accuracy; what is served is without. */
  readonly head?: boolean | undefined;
  /** Leaves batch norms as nodes of their own, for tests. */
  readonly unfolded?: boolean | undefined;
}

/** What is written, and the length of its embeddings. */
export interface FrozenEncoder {
  readonly bytes: Uint8Array;
  readonly dimension: number;
}

/**
 * The encoder as it is served: uint8 `pixels [n, h, w, 3]` in, unit float32 `embeddings [n, dimension]` out,
 * normalisation inside, opset 17, IR 8. Batch norm, with its running statistics, is folded into the convolution before it.
 */
export function freeze(options: FreezeOptions): FrozenEncoder {
  const { inputSize, state, weights, head = false } = options;
  const architecture = architectureOf(options.architecture);
  const layout = parameterLayout(architecture);
  const from = (vector: string): Float32Array =>
    (weights === 'ema' ? state.vectors[`ema.${vector}`] : undefined) ??
    state.vectors[vector] ??
    new Float32Array();
  const tensors = new Map([
    ...named(layout.parameters, from('parameters')),
    ...named(layout.statistics, from('statistics')),
  ]);

  const tape = createTape();
  const layers = frozenLayers({ tape, tensors, unfolded: options.unfolded ?? false });
  const planes = tape.emit('Transpose', ['pixels'], { attributes: { perm: [0, 3, 1, 2] } });
  const floats = tape.emit('Cast', [planes], { attributes: { to: 1 } });
  const factor = options.std.map((deviation) => 1 / (255 * deviation));
  const shift = options.mean.map((value, i) => -value / (options.std[i] ?? 1));
  const scaled = tape.emit('Mul', [floats, tape.floats(factor, [3, 1, 1])]);
  const pixels = tape.emit('Add', [scaled, tape.floats(shift, [3, 1, 1])]);
  let features = architecture.build(layers, layers.image(pixels));
  if (head) features = layers.head(features);
  // LpNormalization leaves a row of zeros as it is; dividing by its length would make it NaN.
  const unit = tape.emit('LpNormalization', [features], { attributes: { axis: 1, p: 2 } });
  tape.rename(unit, 'embeddings');
  const dimension = head ? projectionDimension : architecture.dimension;
  const { height, width } = inputSize;
  const bytes = encodeModel(
    model({
      name: architecture.name,
      inputs: [tensorInfo({ name: 'pixels', elementType: 'uint8', dims: ['n', height, width, 3] })],
      outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', dimension] })],
      nodes: tape.nodes,
      initializers: tape.constants,
    }),
  );
  return { bytes, dimension };
}

function named(specs: readonly TensorSpec[], vector: Float32Array): [string, Float32Array][] {
  let offset = 0;
  return specs.map((spec) => {
    const start = offset;
    offset += sizeOfSpec(spec);
    return [spec.name, vector.subarray(start, offset)];
  });
}
