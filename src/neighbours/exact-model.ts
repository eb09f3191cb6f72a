import { encodeModel, model, node, tensorInfo } from '../onnx/model.js';

/**
 * The bytes of an ONNX model of exact search: `examples [N, dimension]`, `queries [n, dimension]` and `k [1]` in,
 * `similarities [n, k]` and `rows [n, k]` out, nearest first. TopK gives the lower row first among equals.
 */
export function exactSearchModel(dimension: number): Uint8Array {
  return encodeModel(
    model({
      name: 'exact-search',
      inputs: [
        tensorInfo({ name: 'examples', elementType: 'float32', dims: ['N', dimension] }),
        tensorInfo({ name: 'queries', elementType: 'float32', dims: ['n', dimension] }),
        tensorInfo({ name: 'k', elementType: 'int64', dims: [1] }),
      ],
      outputs: [
        tensorInfo({ name: 'similarities', elementType: 'float32', dims: ['n', 'k'] }),
        tensorInfo({ name: 'rows', elementType: 'int64', dims: ['n', 'k'] }),
      ],
      nodes: [
        // The tall matrix on the left: the other way round, packing it costs more than the product.
        node('Gemm', { inputs: ['examples', 'queries'], outputs: ['byRow'], attributes: { transB: 1 } }),
        node('Transpose', { inputs: ['byRow'], outputs: ['byQuery'], attributes: { perm: [1, 0] } }),
        node('TopK', {
          inputs: ['byQuery', 'k'],
          outputs: ['similarities', 'rows'],
          attributes: { axis: -1, largest: 1, sorted: 1 },
        }),
      ],
    }),
  );
}
