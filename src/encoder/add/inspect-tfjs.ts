import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import { readTfjsFiles } from '../tfjs-files.js';
import { type Inspection, mostInside, nearestFirst } from './inspect.js';
import { endsOf, type GraphNode, graphOf, nodeOf, shapeOf, typeOf } from './tfjs-graph.js';
import { declaredOutputs } from './wrap-tfjs.js';

const layerSchema = z.looseObject({
  class_name: z.string(),
  config: z.looseObject({
    name: z.string().optional(),
    batch_input_shape: z.array(z.number().nullable()).optional(),
  }),
});
const layersSchema = z.union([z.array(layerSchema), z.looseObject({ layers: z.array(layerSchema) })]);

/**
 * What a TensorFlow.js model takes and gives, by its model.json, without running it.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`
 */
export async function inspectTfjs(path: string): Promise<Inspection> {
  const artifacts = (await readTfjsFiles(dirname(path), basename(path))).artifacts();
  if (artifacts.format !== 'graph-model') return inspectLayers(artifacts.modelTopology);
  const graph = graphOf(artifacts.modelTopology, []);
  const byName = new Map(graph.nodes.map((one) => [one.name, one]));
  const images = graph.nodes.filter(({ op }) => op === 'Placeholder');
  const outputs = declaredOutputs(artifacts) ?? endsOf(graph);
  const inside = nearestFirst(outputs, (name) =>
    (byName.get(name)?.input ?? []).map(nodeOf).filter((one) => computes(byName.get(one))),
  );
  const [first] = images;
  return {
    format: 'TensorFlow.js graph model',
    inputs: images.map((one) => `${one.name}: ${typeOf(one)} ${shapeText(shapeOf(one))}`),
    outputs,
    inside: inside.map((name) => `${name} (${byName.get(name)?.op})`),
    weightsIn: [],
    layout: 'nhwc',
    size: sizeText(first && shapeOf(first)),
    refusedBecause:
      images.length === 1 ? undefined : `Expected one input, the image, but received ${images.length}`,
  };
}

function computes(node: GraphNode | undefined): boolean {
  return node !== undefined && !['Const', 'Placeholder', 'NoOp'].includes(node.op);
}

function inspectLayers(topology: unknown): Inspection {
  // Keras writes model_config around what TensorFlow.js saves bare, and older versions a sequential model as a list.
  const whole = topology as { model_config?: { config?: unknown }; config?: unknown };
  const parsed = layersSchema.safeParse(whole.model_config?.config ?? whole.config);
  if (!parsed.success) throw new NearvoteError('encoder_invalid', 'Expected layers in modelTopology');
  const layers = Array.isArray(parsed.data) ? parsed.data : parsed.data.layers;
  const named = layers.map(({ class_name, config }) => `${config.name ?? '?'} (${class_name})`);
  const shaped = layers.filter(({ config }) => config.batch_input_shape !== undefined);
  const shapes = shaped.map(({ config }) => config.batch_input_shape?.map((size) => size ?? -1));
  return {
    format: 'TensorFlow.js layers model',
    inputs: shaped.map(({ config }, i) => `${config.name ?? '?'}: ${shapeText(shapes[i])}`),
    outputs: named.slice(-1),
    inside: named.slice(0, -1).reverse().slice(0, mostInside),
    weightsIn: [],
    layout: 'nhwc',
    size: sizeText(shapes[0]),
  };
}

function shapeText(shape: readonly number[] | undefined): string {
  return `[${shape?.map((size, i) => (size >= 0 ? size : i === 0 ? 'n' : '?')).join(',') ?? '...'}]`;
}

/** WIDTHxHEIGHT of `[n, height, width, 3]`. */
function sizeText(shape: readonly number[] | undefined): string | undefined {
  const [, height = -1, width = -1] = shape ?? [];
  return height > 0 && width > 0 ? `${width}x${height}` : undefined;
}
