import { create } from '@bufbuild/protobuf';
import { StringStringEntryProtoSchema, TensorProto_DataLocation } from 'onnx-buf';
import type { GraphModel } from '../../../src/onnx/model.js';

/** As torch's exporter splits a model: the weights in `foreign.onnx.data`, here behind eight bytes of padding. */
export function moveOut(proto: GraphModel, location: string): Uint8Array {
  const [tensor] = proto.graph.initializer;
  if (tensor === undefined) throw new Error('the network has weights');
  const bytes = Buffer.concat([new Uint8Array(8), tensor.rawData]);
  const entries = { location, offset: '8', length: String(tensor.rawData.length) };
  tensor.externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  tensor.rawData = new Uint8Array(0);
  return bytes;
}
