import { constantsOf } from '../../onnx/constants.js';
import type { GraphModel } from '../../onnx/model.js';
import { besideOf } from './beside.js';
import { runExposed, type Exposed, type RunOptions } from './observe.js';
import type { Plan, WeightedNode } from './plan.js';

/** How a layer in int8 differs from the same layer in float on the same values. */
export interface LayerDifference {
  readonly name: string;
  readonly kind: WeightedNode['kind'];
  /** Signal to noise, in decibels: behind its activation. */
  readonly sqnrDb: number;
  /** Of each output channel, before its activation: quantised less float. */
  readonly meanError: Float64Array;
  /** Of one image. */
  readonly multiplications: number;
  readonly outputs: number;
}

interface LayerSums {
  readonly error: Float64Array;
  perChannel: number;
  /** Values of one image. */
  outputs: number;
  signal: number;
  noise: number;
}

/**
 * Compares every weighted node with its copy in int8 that reads the same float values: what each layer alone makes wrong,
 * and nothing of the layers before it. It is computed in float: whatever a processor does of its own is not in it.
 * @param beside as `besideFloat` writes it
 */
export async function compareLayers(
  beside: GraphModel,
  options: RunOptions & { readonly plan: Plan },
): Promise<LayerDifference[]> {
  const { plan } = options;
  const constants = constantsOf(beside.graph);
  const sums = new Map<WeightedNode, LayerSums>();
  const values = plan.weighted.flatMap((one) => [one.output.source, besideOf(one)]);
  // Not further: fused, the copies would become integer operators.
  await runExposed(beside, {
    ...options,
    values,
    optimisation: 'disabled',
    onBatch: (seen) => {
      for (const one of plan.weighted) {
        const [x, y] = [seen.get(one.output.source), seen.get(besideOf(one))];
        if (x !== undefined && y !== undefined)
          sums.set(one, addDifference(one, { x, y, to: sums.get(one) }));
      }
    },
  });
  return plan.weighted.map((one) => {
    const { error, perChannel, outputs, signal, noise } = sums.get(one) ?? noSums(0);
    return {
      name: one.node.name,
      kind: one.kind,
      sqnrDb: 10 * Math.log10(signal / noise),
      meanError: error.map((sum) => sum / perChannel),
      multiplications: outputs * (constants.dims(one.weights).reduce((a, b) => a * b, 1) / error.length),
      outputs,
    };
  });
}

function noSums(channels: number): LayerSums {
  return { error: new Float64Array(channels), perChannel: 0, outputs: 0, signal: 0, noise: 0 };
}

interface Difference {
  readonly x: Exposed;
  readonly y: Exposed;
  readonly to: LayerSums | undefined;
}

function addDifference({ kind, output }: WeightedNode, { x, y, to }: Difference): LayerSums {
  const channels = x.dims[kind === 'Conv' ? 1 : x.dims.length - 1] ?? 0;
  // A convolution's channels are planes, a product's are neighbours.
  const area = kind === 'Conv' ? x.data.length / (x.dims[0] ?? 1) / channels : 1;
  const { lower = -Infinity, upper = Infinity } = output.bounds ?? {};
  const sums = to ?? noSums(channels);
  sums.perChannel += x.data.length / channels;
  sums.outputs = x.data.length / (x.dims[0] ?? 1);
  for (let row = 0; row < x.data.length / area; row++) {
    const channel = row % channels;
    let error = 0;
    let signal = 0;
    let noise = 0;
    const end = (row + 1) * area;
    for (let i = row * area; i < end; i++) {
      const a = x.data[i] as number;
      const b = y.data[i] as number;
      error += b - a;
      const expected = a < lower ? lower : a > upper ? upper : a;
      const difference = (b < lower ? lower : b > upper ? upper : b) - expected;
      signal += expected * expected;
      noise += difference * difference;
    }
    sums.signal += signal;
    sums.noise += noise;
    sums.error[channel] = (sums.error[channel] ?? 0) + error;
  }
  return sums;
}
