import { create } from '@bufbuild/protobuf';
import { TensorProto_DataLocation, TensorProto_DataType, TensorProtoSchema } from 'onnx-buf';
import type { TensorProto } from 'onnx-buf';
import { NearvoteError } from '../domain/errors.js';

/** The element types we read and write. */
export type ElementType = 'float32' | 'uint8' | 'int8' | 'int32' | 'int64' | 'bool' | 'float16' | 'float64';

/** Their numbers in the ONNX format. */
export const elementTypes: Readonly<Record<ElementType, number>> = {
  float32: TensorProto_DataType.FLOAT,
  uint8: TensorProto_DataType.UINT8,
  int8: TensorProto_DataType.INT8,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  bool: TensorProto_DataType.BOOL,
  float16: TensorProto_DataType.FLOAT16,
  float64: TensorProto_DataType.DOUBLE,
};

export interface InitializerOptions {
  readonly name: string;
  readonly elementType: ElementType;
  /** `[]` for a scalar. */
  readonly dims: readonly number[];
  /** Plain numbers, converted; or little-endian bytes, taken as they are (the only way to give float16). */
  readonly data: readonly number[] | Float32Array | Uint8Array;
}

/**
 * A constant tensor of a graph.
 * @throws RangeError when `data` does not fill `dims`
 */
export function initializer({ name, elementType, dims, data }: InitializerOptions): TensorProto {
  const rawData = data instanceof Uint8Array ? data : encode(elementType, data);
  const expected = dims.reduce((product, dim) => product * dim, 1) * bytesPerElement[elementType];
  if (rawData.byteLength !== expected) {
    throw new RangeError(
      `Expected ${expected} bytes for ${name} [${dims.join(',')}] of ${elementType} but received ${rawData.byteLength}`,
    );
  }
  return create(TensorProtoSchema, {
    name,
    dataType: elementTypes[elementType],
    dims: dims.map(BigInt),
    rawData: rawData as Uint8Array<ArrayBuffer>,
  });
}

const bytesPerElement: Readonly<Record<ElementType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  float64: 8,
};

function encode(elementType: ElementType, data: readonly number[] | Float32Array): Uint8Array {
  switch (elementType) {
    case 'float32':
      return bytesOf(Float32Array.from(data));
    case 'float64':
      return bytesOf(Float64Array.from(data));
    case 'int64':
      return bytesOf(BigInt64Array.from(Array.from(data, BigInt)));
    case 'int32':
      return bytesOf(Int32Array.from(data));
    case 'uint8':
    case 'int8':
    case 'bool':
      return bytesOf(Int8Array.from(data));
    case 'float16':
      throw new RangeError('Expected the bytes of a float16 tensor but received numbers');
  }
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/**
 * Reads a constant int64 tensor, as shapes and axes are kept.
 * @throws NearvoteError `encoder_invalid` when it holds another type, external data or too few bytes
 */
export function int64Values(tensor: TensorProto): number[] {
  if (tensor.dataType !== elementTypes.int64 || tensor.externalData.length > 0) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected int64 values inside the model for ${tensor.name} but received element type ${tensor.dataType}`,
    );
  }
  if (tensor.int64Data.length > 0) return tensor.int64Data.map(Number);
  const { rawData } = tensor;
  const count = tensor.dims.reduce((product, dim) => product * Number(dim), 1);
  if (rawData.byteLength !== count * 8) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected ${count * 8} bytes for ${tensor.name} but received ${rawData.byteLength}`,
    );
  }
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  return Array.from({ length: count }, (_, i) => Number(view.getBigInt64(i * 8, true)));
}

/** The values of a constant float32 tensor inside the model; `undefined` for another type. */
export function floatValues(tensor: TensorProto): Float32Array | undefined {
  if (tensor.dataType !== elementTypes.float32 || tensor.externalData.length > 0) return undefined;
  if (tensor.floatData.length > 0) return Float32Array.from(tensor.floatData);
  // A copy: protobuf does not align what it reads.
  return new Float32Array(Uint8Array.from(tensor.rawData).buffer);
}

/** Gives a tensor whose data lay in another file its bytes. */
export function takeIn(tensor: TensorProto, data: Uint8Array): void {
  tensor.rawData = data as Uint8Array<ArrayBuffer>;
  tensor.externalData = [];
  tensor.dataLocation = TensorProto_DataLocation.DEFAULT;
}
