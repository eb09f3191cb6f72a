import type { io } from '@tensorflow/tfjs';
import { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import type { Preprocessing } from './added-nodes.js';

const attributeSchema = z.record(z.string(), z.unknown());

const nodeSchema = z.looseObject({
  name: z.string().min(1),
  op: z.string().min(1),
  input: z.array(z.string()).optional(),
  attr: attributeSchema.optional(),
});

const topologySchema = z.looseObject({ node: z.array(nodeSchema).min(1) });

export type GraphNode = z.infer<typeof nodeSchema>;

/** A weight and its bytes as they are stored. */
export interface StoredWeight {
  readonly spec: io.WeightsManifestEntry;
  readonly bytes: Uint8Array;
}

/** A TensorFlow.js graph as data. Nodes name each other `node`, `node:1` for another output, `^node` for a mere order. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly weights: readonly StoredWeight[];
  /** Whatever else the topology holds, such as functions. */
  readonly rest: Readonly<Record<string, unknown>>;
}

/** @throws NearvoteError `encoder_invalid` for a topology that is none */
export function graphOf(topology: unknown, weights: readonly StoredWeight[]): Graph {
  const parsed = topologySchema.safeParse(topology);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${z.core.toDotPath(issue.path)}: ${issue.message}`);
    throw new NearvoteError('encoder_invalid', `Expected a graph in modelTopology but ${faults.join('; ')}`);
  }
  const { node, ...rest } = parsed.data;
  return { nodes: node, weights, rest };
}

/** The node of a value: `a:1` and `^a` are of `a`. */
export function nodeOf(value: string): string {
  return value.replace(/^\^/, '').replace(/:\d+$/, '');
}

/** Nodes that nothing reads and that compute something. */
export function endsOf({ nodes }: Graph): string[] {
  const read = new Set(nodes.flatMap(({ input = [] }) => input.map(nodeOf)));
  return nodes
    .filter(({ name, op }) => !read.has(name) && !['Const', 'Placeholder', 'NoOp'].includes(op))
    .map(({ name }) => name);
}

/** What of a graph is needed for these nodes. */
export function onlyNeeded(graph: Graph, ends: readonly string[]): Graph {
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));
  const needed = new Set<string>();
  const open = [...ends];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    open.push(...(byName.get(name)?.input ?? []).map(nodeOf));
  }
  return {
    ...graph,
    nodes: graph.nodes.filter(({ name }) => needed.has(name)),
    weights: graph.weights.filter(({ spec }) => needed.has(spec.name)),
  };
}

interface FrontOptions {
  readonly pixels: string;
  /** The placeholder whose place the last node takes. */
  readonly image: GraphNode;
  readonly width: number;
  readonly height: number;
  readonly preprocessing: Preprocessing;
  /** Before every name that is added. */
  readonly prefix: string;
}

/** Puts pixels, int32 RGB `[n, height, width, 3]`, in front: `(value / scale - mean) / std` is what the image was. */
export function withFront(graph: Graph, options: FrontOptions): Graph {
  const { pixels, image, width, height, preprocessing, prefix } = options;
  const { channels, scale, mean, std } = preprocessing;
  const dims = [-1, height, width, 3].map((size) => ({ size: String(size) }));
  const isWhole = typeOf(image) !== 'float';
  const constants = isWhole
    ? []
    : [
        floats(
          `${prefix}gain`,
          [3],
          std.map((one) => 1 / (scale * one)),
        ),
        floats(
          `${prefix}shift`,
          [3],
          std.map((one, i) => -(mean[i] ?? 0) / one),
        ),
      ];
  if (channels === 'bgr') constants.push(ints(`${prefix}colour_axis`, [3]));
  const colours = channels === 'bgr' ? `${prefix}bgr` : pixels;
  const nodes: GraphNode[] = [
    node(pixels, 'Placeholder', [], { dtype: { type: 'DT_INT32' }, shape: { shape: { dim: dims } } }),
    ...(channels === 'bgr' ? [node(`${prefix}bgr`, 'ReverseV2', [pixels, `${prefix}colour_axis`])] : []),
    ...(isWhole
      ? [node(image.name, 'Identity', [colours])]
      : [
          node(`${prefix}float`, 'Cast', [colours], {
            SrcT: { type: 'DT_INT32' },
            DstT: { type: 'DT_FLOAT' },
          }),
          node(`${prefix}scaled`, 'Mul', [`${prefix}float`, `${prefix}gain`]),
          node(image.name, 'AddV2', [`${prefix}scaled`, `${prefix}shift`]),
        ]),
  ];
  return added({ ...graph, nodes: graph.nodes.filter((one) => one !== image) }, nodes, constants);
}

interface BackOptions {
  readonly features: string;
  /** Over which the mean is taken. */
  readonly meanOver: readonly number[];
  /** The first of axis 1 is taken. */
  readonly first: boolean;
  readonly embeddings: string;
  readonly prefix: string;
}

/** Pools what a node gives to `[n, d]` and divides each row by its length. */
export function withBack(graph: Graph, options: BackOptions): Graph {
  const { features, meanOver, first, embeddings, prefix } = options;
  const nodes: GraphNode[] = [];
  const constants = [ints(`${prefix}last`, [1])];
  let rows = features;
  if (meanOver.length > 0) {
    constants.push(ints(`${prefix}pooled_axes`, meanOver));
    nodes.push(node(`${prefix}pooled`, 'Mean', [rows, `${prefix}pooled_axes`], { keep_dims: { b: false } }));
    rows = `${prefix}pooled`;
  } else if (first) {
    constants.push(ints(`${prefix}first`, [0], []), ints(`${prefix}token_axis`, [1], []));
    nodes.push(node(`${prefix}token`, 'GatherV2', [rows, `${prefix}first`, `${prefix}token_axis`]));
    rows = `${prefix}token`;
  }
  nodes.push(
    node(`${prefix}square`, 'Square', [rows]),
    node(`${prefix}sum`, 'Sum', [`${prefix}square`, `${prefix}last`], { keep_dims: { b: true } }),
    node(`${prefix}inverse`, 'Rsqrt', [`${prefix}sum`]),
    node(embeddings, 'Mul', [rows, `${prefix}inverse`]),
  );
  return added(graph, nodes, constants);
}

/** Of the values that a placeholder takes. */
export function typeOf({ attr }: GraphNode): 'float' | 'int' | 'other' {
  const type = (attr?.['dtype'] as { readonly type?: unknown } | undefined)?.type;
  if (type === 'DT_FLOAT' || type === 1) return 'float';
  return type === 'DT_INT32' || type === 3 || type === 'DT_UINT8' || type === 4 ? 'int' : 'other';
}

/** Of a placeholder; -1 for a free dimension, undefined where it does not say. */
export function shapeOf({ attr }: GraphNode): number[] | undefined {
  const shape = (attr?.['shape'] as { shape?: { dim?: { size?: unknown }[] } } | undefined)?.shape;
  return shape?.dim?.map(({ size }) => Number(size));
}

function node(name: string, op: string, input: string[], attr: GraphNode['attr'] = {}): GraphNode {
  return { name, op, input, attr };
}

function floats(name: string, shape: number[], values: readonly number[]): StoredWeight {
  return stored({ name, shape, dtype: 'float32' }, Float32Array.from(values));
}

function ints(name: string, values: readonly number[], shape = [values.length]): StoredWeight {
  return stored({ name, shape, dtype: 'int32' }, Int32Array.from(values));
}

function stored(spec: io.WeightsManifestEntry, { buffer }: Float32Array | Int32Array): StoredWeight {
  return { spec, bytes: new Uint8Array(buffer) };
}

function added(graph: Graph, nodes: readonly GraphNode[], constants: readonly StoredWeight[]): Graph {
  const declared = constants.map(({ spec }) =>
    node(spec.name, 'Const', [], { dtype: { type: spec.dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT' } }),
  );
  return {
    ...graph,
    nodes: [...graph.nodes, ...declared, ...nodes],
    weights: [...graph.weights, ...constants],
  };
}
