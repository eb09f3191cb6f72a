import { messageOf, NearvoteError } from '../../domain/errors.js';
import {
  floatAttribute,
  graphsIn,
  intAttribute,
  keepOnlyNeeded,
  onlyReader,
  opsetOf,
  producersOf,
} from '../../onnx/graph.js';
import { constantsOf } from '../../onnx/constants.js';
import { decodeModel, node, type GraphModel, type GraphProto } from '../../onnx/model.js';
import { optimisedModel } from '../../onnx/session.js';
import { elementTypes } from '../../onnx/tensor.js';
import { foldPixels } from './fold-pixels.js';

/** Operators of models that are quantised already, and branches, which nothing here can look into. */
const branches = /^(If|Loop|Scan|SequenceMap)$/;
const quantised = /^(.*Quantize.*|QLinear.*|QGemm|MatMulNBits|MatMulBnb4|.*Integer.*)$/;

const oldestOpset = 13;

/**
 * Rewrites a float encoder into convolutions with bias, products by constants, activations and pools, as far as that
 * changes no embedding: ONNX Runtime folds constants, batch norms and padding; here batch norms go through the maximum
 * pools before them, activations before those, and scaling, mean and deviation of the pixels into the first convolution.
 * @throws NearvoteError `encoder_unsupported` naming the operator that cannot be quantised, `encoder_invalid`
 */
export async function simplifyModel(bytes: Uint8Array): Promise<GraphModel> {
  checkOperators(decodeModel(bytes));
  let model: GraphModel;
  try {
    model = decodeModel(await optimisedModel(bytes, 'basic'));
  } catch (cause) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected a model that ONNX Runtime can load but it said: ${messageOf(cause)}`,
      { cause },
    );
  }
  const { graph } = model;
  model.opsetImport = model.opsetImport.filter(
    ({ domain }) => domain === '' || graph.node.some((one) => one.domain === domain),
  );
  // What lies between a convolution and its batch norm may itself move.
  while (foldBatchNorm(graph) || raiseActivation(graph));
  foldPixels(graph);
  keepOnlyNeeded(
    graph,
    graph.output.map(({ name }) => name),
  );
  return model;
}

function checkOperators(model: GraphModel): void {
  const nodes = graphsIn(model.graph).flatMap((graph) => graph.node);
  const found = nodes.find(({ opType }) => branches.test(opType) || quantised.test(opType));
  if (found !== undefined) {
    const wanted = branches.test(found.opType)
      ? 'a model without branches and loops'
      : 'a float model, and not one that is quantised already,';
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected ${wanted} but it has the operator ${found.opType} (${found.name})`,
    );
  }
  if (opsetOf(model) < oldestOpset) {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected a model of opset ${oldestOpset} or later, which QuantizeLinear by channel needs, but it has opset ${opsetOf(model)}: export it again`,
    );
  }
  const half = graphsIn(model.graph)
    .flatMap((graph) => graph.node)
    .find((one) => one.opType === 'Cast' && intAttribute(one, 'to') === elementTypes.float16);
  if (half !== undefined) {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected a model that computes in float32 but the operator Cast (${half.name}) makes half precision: export it in float32`,
    );
  }
}

/**
 * Folds one batch norm into the convolution before it, through a maximum pool where every scale is positive: a maximum
 * commutes with an increasing function.
 */
function foldBatchNorm(graph: GraphProto): boolean {
  const producers = producersOf(graph);
  const constants = constantsOf(graph);
  for (const norm of graph.node) {
    if (norm.opType !== 'BatchNormalization') continue;
    const before = producers.get(norm.input[0] ?? '');
    const pool = before?.opType === 'MaxPool' ? before : undefined;
    const conv = pool === undefined ? before : producers.get(pool.input[0] ?? '');
    if (conv?.opType !== 'Conv') continue;
    if (onlyReader(graph, conv.output[0]) !== (pool ?? norm)) continue;
    if (pool !== undefined && onlyReader(graph, pool.output[0]) !== norm) continue;
    const [scale, bias, mean, variance] = norm.input.slice(1, 5).map((name) => constants.floats(name));
    const weights = constants.floats(conv.input[1]);
    const dims = constants.dims(conv.input[1]);
    if (!scale || !bias || !mean || !variance || !weights) continue;
    const epsilon = floatAttribute(norm, 'epsilon') ?? 1e-5;
    const gain = scale.map((one, i) => one / Math.sqrt((variance[i] ?? NaN) + epsilon));
    if (pool !== undefined && !gain.every((one) => one > 0)) continue;
    const old = constants.floats(conv.input[2]);
    if (old === undefined && conv.input[2]) continue;
    const perChannel = weights.length / gain.length;
    conv.input = [
      conv.input[0] ?? '',
      constants.add(
        conv.input[1] ?? '',
        dims,
        weights.map((one, i) => one * (gain[Math.floor(i / perChannel)] ?? NaN)),
      ),
      constants.add(
        norm.input[2] ?? '',
        [gain.length],
        gain.map((one, i) => ((old?.[i] ?? 0) - (mean[i] ?? NaN)) * one + (bias[i] ?? NaN)),
      ),
    ];
    replaceValue(graph, { from: norm.output[0] ?? '', to: norm.input[0] ?? '' });
    graph.node = graph.node.filter((one) => one !== norm);
    return true;
  }
  return false;
}

/** Moves one ReLU or Clip from behind a maximum pool to before it, where it can become part of a convolution. */
function raiseActivation(graph: GraphProto): boolean {
  const producers = producersOf(graph);
  for (const activation of graph.node) {
    if (activation.opType !== 'Relu' && activation.opType !== 'Clip') continue;
    const pool = producers.get(activation.input[0] ?? '');
    if (pool?.opType !== 'MaxPool' || onlyReader(graph, pool.output[0]) !== activation) continue;
    const [source = ''] = pool.input;
    const maker = producers.get(source);
    if (maker?.opType !== 'Conv' || onlyReader(graph, source) !== pool) continue;
    const raised = node(activation.opType, {
      inputs: [source, ...activation.input.slice(1)],
      outputs: [`${source}/activated`],
    });
    raised.attribute = activation.attribute;
    pool.input = [`${source}/activated`];
    replaceValue(graph, { from: activation.output[0] ?? '', to: pool.output[0] ?? '' });
    graph.node = graph.node.flatMap((one) =>
      one === activation ? [] : one === pool ? [raised, pool] : [one],
    );
    return true;
  }
  return false;
}

/** Lets readers of one value read another; an output of the graph keeps its name. */
function replaceValue(graph: GraphProto, { from, to }: { readonly from: string; readonly to: string }): void {
  const isOutput = graph.output.some(({ name }) => name === from);
  const [old, fresh] = isOutput ? [to, from] : [from, to];
  for (const one of graph.node) {
    one.input = one.input.map((name) => (name === old ? fresh : name));
    if (isOutput) one.output = one.output.map((name) => (name === old ? fresh : name));
  }
}
