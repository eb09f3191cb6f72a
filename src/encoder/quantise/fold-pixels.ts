import { constantsOf, type Constants } from '../../onnx/constants.js';
import { intAttribute, intsAttribute, isPadded, readersOf } from '../../onnx/graph.js';
import { node, type GraphProto, type NodeProto } from '../../onnx/model.js';
import { elementTypes, initializer } from '../../onnx/tensor.js';

/** What a value is of the pixels: `gain[c] * pixel[from[c]] + shift[c]`, and which of its axes each of theirs became. */
interface Affine {
  readonly gain: readonly number[];
  readonly shift: readonly number[];
  readonly from: readonly number[];
  /** As the `perm` of one Transpose of `[n, height, width, 3]`. */
  readonly perm: readonly number[];
}

/** In pixel values: a mean this near to a whole number pads as well as that. */
const wholeTolerance = 1 / 16;

/**
 * Lets the pixels themselves, uint8, go into the first convolutions: scaling, mean and deviation become part of the
 * weights and the bias. Zeros that a convolution pads with stand for the mean of the pixels, which must then be one whole
 * number for all channels: it becomes the zero-point. Nothing changes where the model is of another kind; its
 * first step then makes uint8 of what it computes from the pixels.
 */
export function foldPixels(graph: GraphProto): void {
  const [pixels] = graph.input;
  if (pixels === undefined || graph.input.length !== 1) return;
  const found = traceTo(graph, pixels.name);
  const [first] = found ?? [];
  if (found === undefined || first === undefined) return;
  const constants = constantsOf(graph);
  const folds = found.map(({ conv, affine }) => foldInto({ conv, affine, constants }));
  const [zeroPoint] = folds.map((fold) => fold?.zeroPoint);
  if (zeroPoint === undefined || folds.some((fold) => fold?.zeroPoint !== zeroPoint)) return;

  const names = { planes: `${pixels.name}/planes`, values: `${pixels.name}/values` };
  const [scale, zero] = [`${pixels.name}/scale`, `${pixels.name}/zero-point`];
  graph.initializer.push(
    initializer({ name: scale, elementType: 'float32', dims: [], data: [1] }),
    initializer({ name: zero, elementType: 'uint8', dims: [], data: [zeroPoint] }),
  );
  for (const [i, { conv }] of found.entries()) {
    const fold = folds[i];
    if (fold === undefined) continue;
    conv.input = [
      names.values,
      constants.add(conv.input[1] ?? '', constants.dims(conv.input[1]), fold.weights),
      constants.add(`${conv.name}/bias`, [fold.bias.length], fold.bias),
    ];
  }
  graph.node.unshift(
    node('Transpose', {
      inputs: [pixels.name],
      outputs: [names.planes],
      attributes: { perm: first.affine.perm },
    }),
    node('DequantizeLinear', { inputs: [names.planes, scale, zero], outputs: [names.values] }),
  );
}

interface Reached {
  readonly conv: NodeProto;
  readonly affine: Affine;
}

const toPlanes = [0, 3, 1, 2];

/** The convolutions that the pixels go to, and nothing else; `undefined` where they go elsewhere too. */
function traceTo(graph: GraphProto, pixels: string): Reached[] | undefined {
  const readers = readersOf(graph);
  const constants = constantsOf(graph);
  let affine: Affine = { gain: [1, 1, 1], shift: [0, 0, 0], from: [0, 1, 2], perm: [0, 1, 2, 3] };
  let at = pixels;
  for (;;) {
    const next = readers.get(at) ?? [];
    const convs = next.filter((one) => one.opType === 'Conv' && one.input[0] === at);
    if (convs.length === next.length && convs.length > 0) {
      return affine.perm.join() === toPlanes.join() ? convs.map((conv) => ({ conv, affine })) : undefined;
    }
    const [only] = next;
    if (only === undefined || next.length !== 1) return undefined;
    const after = stepped(affine, { step: only, at, constants });
    if (after === undefined) return undefined;
    affine = after;
    at = only.output[0] ?? '';
  }
}

interface Step {
  readonly step: NodeProto;
  /** The value that is followed. */
  readonly at: string;
  readonly constants: Constants;
}

function stepped(affine: Affine, { step, at, constants }: Step): Affine | undefined {
  const { gain, shift, from, perm } = affine;
  switch (step.opType) {
    case 'Identity':
      return affine;
    case 'Cast':
      return intAttribute(step, 'to') === elementTypes.float32 ? affine : undefined;
    case 'Transpose': {
      const order = intsAttribute(step, 'perm') ?? [];
      return order.length === 4 ? { ...affine, perm: order.map((axis) => perm[axis] ?? NaN) } : undefined;
    }
    case 'Gather': {
      const order = constants.ints(step.input[1]) ?? [];
      const axis = ((intAttribute(step, 'axis') ?? 0) + 4) % 4;
      if (step.input[0] !== at || axis !== perm.indexOf(3) || [...order].sort().join() !== '0,1,2')
        return undefined;
      const pick = (values: readonly number[]): number[] => order.map((channel) => values[channel] ?? NaN);
      return { perm, gain: pick(gain), shift: pick(shift), from: pick(from) };
    }
  }
  const isFirst = step.input[0] === at;
  const by = perChannel({ constants, name: step.input[isFirst ? 1 : 0], axis: perm.indexOf(3) });
  if (by === undefined) return undefined;
  const each = (combine: (value: number, constant: number) => number, values: readonly number[]): number[] =>
    values.map((value, i) => combine(value, by[i] ?? NaN));
  const times = (value: number, constant: number): number => value * constant;
  switch (step.opType) {
    case 'Mul':
      return { ...affine, gain: each(times, gain), shift: each(times, shift) };
    case 'Add':
      return { ...affine, shift: each((value, constant) => value + constant, shift) };
    case 'Sub':
      return isFirst ? { ...affine, shift: each((value, constant) => value - constant, shift) } : undefined;
    case 'Div': {
      const over = (value: number, constant: number): number => value / constant;
      return isFirst ? { ...affine, gain: each(over, gain), shift: each(over, shift) } : undefined;
    }
    default:
      return undefined;
  }
}

interface PerChannel {
  readonly constants: Constants;
  readonly name: string | undefined;
  /** Of the channels, in four axes. */
  readonly axis: number;
}

/** A constant as one number a channel, where broadcasting makes it that. */
function perChannel({ constants, name, axis }: PerChannel): number[] | undefined {
  const values = constants.floats(name);
  if (values?.length === 1) return Array.from({ length: 3 }, () => values[0] ?? NaN);
  const dims = constants.dims(name);
  if (values?.length !== 3 || dims[dims.length - 4 + axis] !== 3) return undefined;
  return [...values];
}

interface Fold {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  /** The pixel value that counts as zero. */
  readonly zeroPoint: number;
}

function foldInto({
  conv,
  affine,
  constants,
}: Reached & { readonly constants: Constants }): Fold | undefined {
  const weights = constants.floats(conv.input[1]);
  const [outputs = 0, channels = 0] = constants.dims(conv.input[1]);
  const old = constants.floats(conv.input[2]);
  if (weights === undefined || channels !== 3 || (old === undefined && conv.input[2])) return undefined;
  const { gain, shift, from } = affine;
  const zeros = gain.map((one, i) => -(shift[i] ?? NaN) / one);
  const zeroPoint = isPadded(conv) ? wholeOf(zeros) : middleOf(zeros);
  if (zeroPoint === undefined) return undefined;
  const area = weights.length / outputs / channels;
  const fresh = new Float32Array(weights.length);
  const bias = Float32Array.from({ length: outputs }, (_, o) => {
    let sum = old?.[o] ?? 0;
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < area; k++) {
        const weight = weights[(o * channels + c) * area + k] ?? NaN;
        fresh[(o * channels + (from[c] ?? c)) * area + k] = weight * (gain[c] ?? NaN);
        sum += weight * ((shift[c] ?? NaN) + (gain[c] ?? NaN) * zeroPoint);
      }
    }
    return sum;
  });
  return { weights: fresh, bias, zeroPoint };
}

/** Nothing is padded, so any will do; near the mean of the pixels, what weights lose is multiplied by little. */
function middleOf(values: readonly number[]): number {
  const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Number.isFinite(middle) ? Math.max(0, Math.min(255, Math.round(middle))) : 0;
}

/** The one pixel value that all of these are nearly. */
function wholeOf(values: readonly number[]): number | undefined {
  const whole = Math.round(values[0] ?? NaN);
  const near = values.every((value) => Math.abs(value - whole) <= wholeTolerance);
  return near && whole >= 0 && whole <= 255 ? whole : undefined;
}
