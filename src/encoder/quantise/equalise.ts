import { constantsOf, type Constants } from '../../onnx/constants.js';
import { intAttribute, onlyReader } from '../../onnx/graph.js';
import {
  decodeModel,
  encodeModel,
  type GraphModel,
  type GraphProto,
  type NodeProto,
} from '../../onnx/model.js';
import type { Observations } from './observe.js';
import { planOf, type QuantisedValue } from './plan.js';

/** A channel is made no more than this much smaller or larger. */
const mostFactor = 32;

/**
 * Evens out the channels between two convolutions, which share one scale as bytes: what leaves the first in a channel is
 * divided by a factor, and the second's weights for it are multiplied by the same, so that no embedding changes. Between
 * ReLUs any factor does (Nagel et al. 2019, arXiv:1906.04721); how it is shared between values and weights is
 * SmoothQuant's (Xiao et al. 2022, arXiv:2211.10438). The weights of a depthwise convolution have a scale for each
 * channel anyway: there the values become equal. A Clip from above holds for values as they were observed.
 * @returns the model, or `undefined` where no two convolutions follow each other so
 */
export function equaliseChannels(model: GraphModel, observations: Observations): GraphModel | undefined {
  const evened = decodeModel(encodeModel(model));
  const { graph } = evened;
  const constants = constantsOf(graph);
  let pairs = 0;
  for (const { node: first, kind, output } of planOf(evened).weighted) {
    const second = kind === 'Conv' ? followingConv(graph, output) : undefined;
    const most = observations.get(output.name)?.channelMost;
    if (second === undefined || most === undefined || most.length === 0) continue;
    const factors = factorsFor({ second, most, upper: output.bounds?.upper ?? Infinity, constants });
    if (factors === undefined) continue;
    scaleOutputs({ node: first, factors, constants });
    scaleInputs({ node: second, factors, constants });
    pairs++;
  }
  return pairs === 0 ? undefined : evened;
}

/** The one convolution that reads a value, maybe through a pool, behind nothing or a ReLU or Clip. */
function followingConv(graph: GraphProto, { name }: QuantisedValue): NodeProto | undefined {
  const reader = onlyReader(graph, name);
  if (reader?.opType === 'MaxPool' || reader?.opType === 'AveragePool') {
    return followingConv(graph, { name: reader.output[0] ?? '', source: '', bounds: undefined });
  }
  return reader?.opType === 'Conv' && reader.input[0] === name ? reader : undefined;
}

interface FactorsOptions {
  readonly second: NodeProto;
  /** The largest amount seen in each channel. */
  readonly most: Float64Array;
  /** Of the activation between. */
  readonly upper: number;
  readonly constants: Constants;
}

function factorsFor({ second, most, upper, constants }: FactorsOptions): Float64Array | undefined {
  const weights = constants.floats(second.input[1]);
  const [outputs = 0, perGroup = 0] = constants.dims(second.input[1]);
  if (weights === undefined) return undefined;
  const channels = most.length;
  const depthwise = intAttribute(second, 'group') === channels && perGroup === 1 && outputs === channels;
  if (!depthwise && perGroup !== channels) return undefined;
  const area = weights.length / outputs / perGroup;
  const weightMost = new Float64Array(channels);
  for (const [i, weight] of weights.entries()) {
    const channel = depthwise ? Math.floor(i / area) : Math.floor(i / area) % channels;
    weightMost[channel] = Math.max(weightMost[channel] ?? 0, Math.abs(weight));
  }
  const largest = most.reduce((a, b) => Math.max(a, b), 0);
  const factors = most.map((value, c) => {
    const weight = weightMost[c] ?? 0;
    if (!(value > 0) || !(weight > 0)) return 1;
    return depthwise ? value / largest : Math.sqrt(value / weight);
  });
  // Only what is between the channels matters; around 1 a Clip, which has no scale, is met least.
  const logs = factors.reduce((sum, one) => sum + Math.log(one), 0) / channels;
  const middle = depthwise || upper < Infinity ? 1 : Math.exp(logs);
  return factors.map((one, c) => {
    const bounded = Math.min(mostFactor, Math.max(1 / mostFactor, one / middle));
    if (upper === Infinity) return bounded;
    const value = most[c] ?? 0;
    return value >= upper ? 1 : Math.max(bounded, value / upper);
  });
}

interface ScaleOptions {
  readonly node: NodeProto;
  readonly factors: Float64Array;
  readonly constants: Constants;
}

function scaleOutputs({ node: one, factors, constants }: ScaleOptions): void {
  const weights = constants.floats(one.input[1]) ?? new Float32Array();
  const bias = constants.floats(one.input[2]);
  const per = weights.length / factors.length;
  const scaled = weights.map((weight, i) => weight / (factors[Math.floor(i / per)] ?? NaN));
  one.input[1] = constants.add(one.input[1] ?? '', constants.dims(one.input[1]), scaled);
  if (bias === undefined) return;
  const scaledBias = bias.map((value, c) => value / (factors[c] ?? NaN));
  one.input[2] = constants.add(one.input[2] ?? '', [bias.length], scaledBias);
}

function scaleInputs({ node: one, factors, constants }: ScaleOptions): void {
  const weights = constants.floats(one.input[1]) ?? new Float32Array();
  const dims = constants.dims(one.input[1]);
  const [outputs = 0, perGroup = 0] = dims;
  const area = weights.length / outputs / perGroup;
  const channels = factors.length;
  const scaled = weights.map((weight, i) => weight * (factors[Math.floor(i / area) % channels] ?? NaN));
  one.input[1] = constants.add(one.input[1] ?? '', dims, scaled);
}
