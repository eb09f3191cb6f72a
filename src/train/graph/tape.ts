import { node, type AttributeValue, type NodeProto, type TensorProto } from '../../onnx/model.js';
import { initializer } from '../../onnx/tensor.js';

/** A float32 tensor of the graph. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface EmitOptions {
  readonly attributes?: Readonly<Record<string, AttributeValue>> | undefined;
  readonly domain?: string | undefined;
}

/** What an operation tells the tape of itself. */
interface Operation {
  readonly inputs: readonly Value[];
  readonly output: Value;
  /**
   * Given the name of the loss's gradient by the output, one function for each input that emits the nodes of the
   * gradient by that input and returns its name; called only for inputs that a parameter reaches.
   */
  readonly backward: (gradient: string) => readonly (() => string)[];
}

/** A graph under construction that can be walked backward. */
export interface Tape {
  readonly nodes: readonly NodeProto[];
  readonly constants: readonly TensorProto[];
  readonly domains: ReadonlySet<string>;
  /** Adds one node with one output, and returns the output's name. */
  emit(type: string, inputs: readonly string[], options?: EmitOptions): string;
  /** The same for a node of several outputs. */
  emitMany(type: string, inputs: readonly string[], outputs: number, options?: EmitOptions): string[];
  /** A constant of the standard's shapes, axes and so on. */
  ints(values: readonly number[]): string;
  floats(data: readonly number[] | Float32Array, dims?: readonly number[]): string;
  /** A value whose gradient is wanted. */
  parameter(name: string, shape: readonly number[]): Value;
  record(operation: Operation): Value;
  /** Gives a value the name of an output of the graph. */
  rename(value: string, output: string): void;
  /** Emits the gradients of a scalar `loss` by every parameter: their names by parameter. */
  backward(loss: Value): ReadonlyMap<Value, string>;
}

/** How many numbers a shape holds. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

export function createTape(): Tape {
  const nodes: NodeProto[] = [];
  const constants = new Map<string, TensorProto>();
  const domains = new Set<string>();
  const operations: Operation[] = [];
  const parameters: Value[] = [];
  /** Names of values that a parameter reaches. */
  const reached = new Set<string>();
  let next = 0;

  function emitMany(
    type: string,
    inputs: readonly string[],
    outputs: number,
    { attributes, domain = '' }: EmitOptions = {},
  ): string[] {
    const names = Array.from({ length: outputs }, () => `${type}_${next++}`);
    nodes.push(node(type, { inputs, outputs: names, attributes, domain }));
    if (domain !== '') domains.add(domain);
    return names;
  }

  const emit: Tape['emit'] = (type, inputs, options) => emitMany(type, inputs, 1, options).join('');

  function constant(name: string, make: () => TensorProto): string {
    if (!constants.has(name)) constants.set(name, make());
    return name;
  }

  return {
    nodes,
    domains,
    get constants() {
      return [...constants.values()];
    },
    emit,
    emitMany,
    ints: (values) => {
      const name = `ints_${values.join('_')}`;
      return constant(name, () =>
        initializer({ name, elementType: 'int64', dims: [values.length], data: values }),
      );
    },
    floats: (data, dims = []) => {
      const name = data.length === 1 ? `float_${String(data[0])}_${dims.join('_')}` : `floats_${next++}`;
      return constant(name, () => initializer({ name, elementType: 'float32', dims, data }));
    },
    parameter: (name, shape) => {
      const value = { name, shape };
      parameters.push(value);
      reached.add(name);
      return value;
    },
    record: (operation) => {
      if (operation.inputs.some(({ name }) => reached.has(name))) {
        reached.add(operation.output.name);
        operations.push(operation);
      }
      return operation.output;
    },
    rename: (value, output) => {
      nodes.push(node('Identity', { inputs: [value], outputs: [output] }));
    },
    backward: (loss) => {
      const gradients = new Map<string, string>([
        [
          loss.name,
          constant('one', () => initializer({ name: 'one', elementType: 'float32', dims: [], data: [1] })),
        ],
      ]);
      // Operations stand in an order in which every value is made before it is read, so backward all its readers come first.
      for (const { inputs, output, backward } of operations.toReversed()) {
        const gradient = gradients.get(output.name);
        if (gradient === undefined) continue;
        backward(gradient).forEach((emitGradient, i) => {
          const name = inputs[i]?.name;
          if (name === undefined || !reached.has(name)) return;
          const more = emitGradient();
          const before = gradients.get(name);
          gradients.set(name, before === undefined ? more : emit('Add', [before, more]));
        });
      }
      return new Map(
        parameters.flatMap((parameter) => {
          const gradient = gradients.get(parameter.name);
          return gradient === undefined ? [] : [[parameter, gradient] as const];
        }),
      );
    },
  };
}
