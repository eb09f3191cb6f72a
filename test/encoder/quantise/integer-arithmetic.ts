import { floatAttribute, intAttribute, intsAttribute } from '../../../src/onnx/graph.js';
import { decodeModel, type NodeProto, type TensorProto } from '../../../src/onnx/model.js';
import { side } from './networks.js';

/** Whole numbers, and what they stand for: `(value - zero) * scale[channel]`. */
interface Whole {
  readonly kind: 'whole';
  readonly dims: readonly number[];
  readonly values: readonly number[];
  readonly scale: readonly number[];
  readonly zero: number;
}
interface Real {
  readonly kind: 'real';
  readonly dims: readonly number[];
  readonly values: readonly number[];
}
type Value = Whole | Real;

/**
 * Runs a quantised model as it is meant: every product of a convolution or dense layer is one of whole numbers, summed
 * exactly, in plain loops. One image of `side` x `side`.
 */
export function runInIntegers(bytes: Uint8Array, image: Uint8Array): number[] {
  const { graph } = decodeModel(bytes);
  const values = new Map<string, Value>(graph.initializer.map((tensor) => [tensor.name, constant(tensor)]));
  values.set('pixels', { kind: 'real', dims: [1, side, side, 3], values: [...image] });
  for (const one of graph.node) {
    const inputs = one.input.filter((name) => name !== '').map((name) => values.get(name) ?? missing(name));
    values.set(one.output[0] ?? '', run(one, inputs));
  }
  return [...reals(values.get('embeddings') ?? missing('embeddings')).values];
}

function missing(name: string): never {
  throw new Error(`no value ${name}`);
}

function constant({ dims, rawData, dataType }: TensorProto): Real {
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  const readers: Record<number, [number, (at: number) => number]> = {
    1: [4, (at) => view.getFloat32(at, true)],
    2: [1, (at) => view.getUint8(at)],
    3: [1, (at) => view.getInt8(at)],
    6: [4, (at) => view.getInt32(at, true)],
    7: [8, (at) => Number(view.getBigInt64(at, true))],
  };
  const [size, read] = readers[dataType] ?? missing(`type ${dataType}`);
  const values = Array.from({ length: rawData.byteLength / size }, (_, i) => read(i * size));
  return { kind: 'real', dims: dims.map(Number), values };
}

function reals(value: Value): Real {
  if (value.kind === 'real') return value;
  const { dims, values, scale, zero } = value;
  const per = scale.length === 1 ? values.length : values.length / (dims[0] ?? 1) / scale.length;
  return {
    kind: 'real',
    dims,
    values: values.map((one, i) => (one - zero) * at(scale, Math.floor(i / per) % scale.length)),
  };
}

function at(values: readonly number[], i: number): number {
  const value = values[i];
  if (value === undefined) throw new Error(`nothing at ${i}`);
  return value;
}

function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function run(one: NodeProto, inputs: readonly Value[]): Value {
  const [x = missing('x'), y, z] = inputs;
  switch (one.opType) {
    case 'QuantizeLinear': {
      const [scale, zero] = [
        at(reals(y ?? missing('scale')).values, 0),
        z === undefined ? 0 : at(reals(z).values, 0),
      ];
      const quantised = reals(x).values.map((value) =>
        Math.max(0, Math.min(255, roundHalfEven(value / scale) + zero)),
      );
      return { kind: 'real', dims: x.dims, values: quantised };
    }
    case 'DequantizeLinear': {
      const zero = z === undefined ? 0 : at(reals(z).values, 0);
      return {
        kind: 'whole',
        dims: x.dims,
        values: x.values,
        scale: reals(y ?? missing('scale')).values,
        zero,
      };
    }
    case 'Conv':
      return convolve(one, inputs as readonly Whole[]);
    case 'Gemm':
      return multiply(one, inputs as readonly Whole[]);
    case 'Transpose': {
      const planes: number[] = [];
      for (let c = 0; c < 3; c++) for (let i = 0; i < side * side; i++) planes.push(at(x.values, i * 3 + c));
      return { kind: 'real', dims: [1, 3, side, side], values: planes };
    }
    case 'MaxPool': {
      const [, channels = 0, height = 0, width = 0] = x.dims;
      const pooled: number[] = [];
      for (let c = 0; c < channels; c++)
        for (let r = 0; r + 1 < height; r += 2)
          for (let q = 0; q + 1 < width; q += 2) {
            const corner = (c * height + r) * width + q;
            pooled.push(Math.max(...[0, 1, width, width + 1].map((step) => at(x.values, corner + step))));
          }
      return { ...x, dims: [1, channels, height >> 1, width >> 1], values: pooled };
    }
    case 'GlobalAveragePool': {
      const { values, dims } = reals(x);
      const area = at(dims, 2) * at(dims, 3);
      const means = Array.from(
        { length: at(dims, 1) },
        (_, c) => sum(values.slice(c * area, (c + 1) * area)) / area,
      );
      return { kind: 'real', dims: [1, at(dims, 1), 1, 1], values: means };
    }
    case 'Flatten':
      return { ...x, dims: [1, x.values.length] };
    case 'Add': {
      const others = reals(y ?? missing('y')).values;
      return { kind: 'real', dims: x.dims, values: reals(x).values.map((value, i) => value + at(others, i)) };
    }
    case 'Relu':
      return { kind: 'real', dims: x.dims, values: reals(x).values.map((value) => Math.max(0, value)) };
    case 'ReduceL2':
      return {
        kind: 'real',
        dims: [1, 1],
        values: [Math.sqrt(sum(reals(x).values.map((value) => value * value)))],
      };
    case 'Div': {
      const divisor = at(reals(y ?? missing('y')).values, 0);
      return { kind: 'real', dims: x.dims, values: reals(x).values.map((value) => value / divisor) };
    }
    default:
      throw new Error(`no ${one.opType} here`);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Accumulators of int32, which stand for themselves times the product of both scales. */
function accumulated(dims: readonly number[], values: readonly number[], scales: readonly number[]): Real {
  for (const value of values)
    if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 31) throw new Error(`${value} is no int32`);
  const per = values.length / scales.length;
  return { kind: 'real', dims, values: values.map((value, i) => value * at(scales, Math.floor(i / per))) };
}

function convolve(one: NodeProto, [x, w, b]: readonly Whole[]): Real {
  if (x === undefined || w === undefined || b === undefined) return missing('input of Conv');
  const [, channels = 0, height = 0, width = 0] = x.dims;
  const [outputs = 0, perGroup = 0, rows = 0, columns = 0] = w.dims;
  const groups = intAttribute(one, 'group') ?? 1;
  if (channels !== perGroup * groups) throw new Error('channels');
  const [top = 0, left = 0, bottom = 0, right = 0] = intsAttribute(one, 'pads') ?? [];
  const [down = 1, across = 1] = intsAttribute(one, 'strides') ?? [];
  const [high, wide] = [
    Math.floor((height + top + bottom - rows) / down) + 1,
    Math.floor((width + left + right - columns) / across) + 1,
  ];
  const sums: number[] = [];
  for (let o = 0; o < outputs; o++)
    for (let r = 0; r < high; r++)
      for (let q = 0; q < wide; q++) {
        let total = at(b.values, o);
        for (let c = 0; c < perGroup; c++)
          for (let i = 0; i < rows; i++)
            for (let j = 0; j < columns; j++) {
              const [y, z] = [r * down + i - top, q * across + j - left];
              if (y < 0 || z < 0 || y >= height || z >= width) continue;
              const channel = Math.floor(o / (outputs / groups)) * perGroup + c;
              const pixel = at(x.values, (channel * height + y) * width + z) - x.zero;
              total += pixel * at(w.values, ((o * perGroup + c) * rows + i) * columns + j);
            }
        sums.push(total);
      }
  return accumulated(
    [1, outputs, high, wide],
    sums,
    w.scale.map((scale) => scale * at(x.scale, 0)),
  );
}

function multiply(one: NodeProto, [x, w, b]: readonly Whole[]): Real {
  if (x === undefined || w === undefined) return missing('input of Gemm');
  if ((floatAttribute(one, 'alpha') ?? 1) !== 1) throw new Error('alpha');
  const transposed = intAttribute(one, 'transB') === 1;
  const inputs = x.values.length;
  const outputs = w.values.length / inputs;
  const sums = Array.from({ length: outputs }, (_, o) => {
    let total = b === undefined ? 0 : at(b.values, o);
    for (let i = 0; i < inputs; i++) {
      total += (at(x.values, i) - x.zero) * at(w.values, transposed ? o * inputs + i : i * outputs + o);
    }
    return total;
  });
  return accumulated(
    [1, outputs],
    sums,
    w.scale.map((scale) => scale * at(x.scale, 0)),
  );
}
