import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from 'onnx-buf';
import { NearvoteError } from '../domain/errors.js';
import { elementTypes } from './tensor.js';
import type { ElementType } from './tensor.js';

export type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto };

/** A plain number is an ONNX int and an array ints; a float says so, because `1` could be either. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorProto }
  /** A branch of If, the body of Loop or Scan. */
  | { readonly graph: GraphProto };

export interface NodeOptions {
  /** `''` leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>> | undefined;
  readonly name?: string | undefined;
  /** The set of operators it is of, the standard one unless told. */
  readonly domain?: string | undefined;
}

/** One operation of a graph: `node('Gemm', { inputs: ['a', 'b'], outputs: ['c'], attributes: { transB: 1 } })`. */
export function node(
  opType: string,
  { inputs, outputs, attributes = {}, name, domain = '' }: NodeOptions,
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    domain,
    // Named after its output, so that a runtime's message points somewhere.
    name: name ?? `${opType}:${outputs.join(',')}`,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
  });
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  }
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, {
      name,
      type: AttributeType.STRING,
      s: new TextEncoder().encode(value),
    });
  }
  if ('float' in value)
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  if ('floats' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...value.floats] });
  }
  if ('tensor' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.TENSOR, t: value.tensor });
  }
  if ('graph' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g: value.graph });
  }
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}

export interface TensorInfoOptions {
  readonly name: string;
  readonly elementType: ElementType;
  /** A string names a dimension known only when the model runs. */
  readonly dims: readonly (number | string)[];
}

/** The declaration of an input or output of a graph. */
export function tensorInfo({ name, elementType, dims }: TensorInfoOptions): ValueInfoProto {
  const dim = dims.map((value) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof value === 'number' ? { case: 'dimValue', value: BigInt(value) } : { case: 'dimParam', value },
    }),
  );
  const value = create(TypeProto_TensorSchema, {
    elemType: elementTypes[elementType],
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value } }),
  });
}

/** An output whose type is left for the runtime to infer. */
export function untypedInfo(name: string): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name });
}

export interface ModelOptions {
  readonly name: string;
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
  /** In an order in which every input is there before it is read. */
  readonly nodes: readonly NodeProto[];
  readonly initializers?: readonly TensorProto[] | undefined;
  readonly opset?: number | undefined;
  readonly irVersion?: number | undefined;
  /** Further sets of operators, at version 1. */
  readonly domains?: readonly string[] | undefined;
}

/** A whole model; opset 17 and IR version 8 unless told. */
export function model(options: ModelOptions): GraphModel {
  const {
    name,
    inputs,
    outputs,
    nodes,
    initializers = [],
    opset = 17,
    irVersion = 8,
    domains = [],
  } = options;
  const graph = create(GraphProtoSchema, {
    name,
    input: [...inputs],
    output: [...outputs],
    node: [...nodes],
    initializer: [...initializers],
  });
  const proto = create(ModelProtoSchema, {
    irVersion: BigInt(irVersion),
    producerName: 'nearvote',
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(opset) }),
      ...domains.map((domain) => create(OperatorSetIdProtoSchema, { domain, version: 1n })),
    ],
  });
  return Object.assign(proto, { graph });
}

/** The bytes of an .onnx file. */
export function encodeModel(proto: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, proto);
}

/** A model that is known to hold a graph. */
export type GraphModel = ModelProto & { readonly graph: GraphProto };

/**
 * Reads the bytes of an .onnx file.
 * @throws NearvoteError `encoder_invalid` when they are not a model with a graph in it
 */
export function decodeModel(bytes: Uint8Array): GraphModel {
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new NearvoteError('encoder_invalid', 'Expected an ONNX model but received bytes that are not one', {
      cause,
    });
  }
  if (!hasGraph(proto)) {
    throw new NearvoteError('encoder_invalid', 'Expected an ONNX model but received bytes without a graph');
  }
  return proto;
}

function hasGraph(proto: ModelProto): proto is GraphModel {
  return proto.graph !== undefined && proto.graph.node.length > 0;
}
