import { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import { producersOf } from '../../onnx/graph.js';
import type { GraphProto, NodeProto } from '../../onnx/model.js';
import type { Token } from '../add/added-nodes.js';

/** Which value of a model is its embedding. */
export interface Features {
  readonly output: string;
  readonly token?: Token | undefined;
}

/** Models that give their embedding in one way. */
export interface Family {
  readonly name: string;
  /** The file in `onnx/`, without its ending. */
  readonly file: 'model' | 'vision_model';
  /** By preference. */
  readonly outputs: readonly Features[];
}

const pooled: Features = { output: 'pooler_output' };
const firstToken: Features = { output: 'last_hidden_state', token: 'cls' };
const map: Features = { output: 'last_hidden_state' };

/** The vision transformers' pooled output is the normalised first token, but for vit, whose is a layer that few trained. */
const dino: Family = { name: 'dino', file: 'model', outputs: [pooled, firstToken] };
const vit: Family = { name: 'vit', file: 'model', outputs: [firstToken] };
const cnn: Family = { name: 'convolutional', file: 'model', outputs: [pooled, map] };
const clip: Family = { name: 'clip', file: 'vision_model', outputs: [{ output: 'image_embeds' }] };
const siglip: Family = { name: 'siglip', file: 'vision_model', outputs: [pooled] };

/** By `model_type` of config.json. */
const byModelType: Readonly<Record<string, Family>> = {
  dinov2: dino,
  dinov2_with_registers: dino,
  dinov3_vit: dino,
  dinov3_convnext: cnn,
  siglip,
  siglip2: siglip,
  siglip_vision_model: siglip,
  siglip2_vision_model: siglip,
  clip,
  clip_vision_model: clip,
  mobileclip: clip,
  vit,
  deit: vit,
  convnext: cnn,
  convnextv2: cnn,
  efficientnet: cnn,
  mobilenet_v1: cnn,
  mobilenet_v2: cnn,
  mobilenet_v3: cnn,
  mobilenet_v4: cnn,
  resnet: cnn,
};

/** By the beginning of timm's `architecture`. */
const byArchitecture: readonly (readonly [RegExp, Family])[] = [
  [/^vit_.*dinov[23]/, dino],
  [/^(vit|deit|deit3)_/, vit],
  [
    /^(convnext|convnextv2|(tf_)?efficientnet(v2)?|(tf_)?mobilenetv[1234]|resnet\d*d?|mobileclip|fastvit)(_|$|\d)/,
    cnn,
  ],
];

const configSchema = z.object({
  model_type: z.string().optional(),
  architecture: z.string().optional(),
  pretrained_cfg: z.object({ architecture: z.string().optional() }).loose().optional(),
});

export interface Described {
  /** Undefined where it is none of those known. */
  readonly family: Family | undefined;
  /** What the model calls itself. */
  readonly kind: string;
  /** timm's account of its preprocessing, where there is one. */
  readonly timm: unknown;
}

/** @throws NearvoteError `encoder_unsupported` for a config.json that says nothing of this */
export function describeConfig(config: unknown): Described {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) {
    throw new NearvoteError('encoder_unsupported', "Expected config.json to be a model's but it is not");
  }
  const { model_type = '', architecture, pretrained_cfg } = parsed.data;
  const timmName = architecture ?? pretrained_cfg?.architecture ?? '';
  const named = byArchitecture.find(([rule]) => rule.test(timmName))?.[1];
  return {
    // A file may say `constructor`, which every object has.
    family: (Object.hasOwn(byModelType, model_type) ? byModelType[model_type] : undefined) ?? named,
    kind: [model_type, timmName].filter((word) => word !== '').join(', ') || 'not said',
    timm: pretrained_cfg,
  };
}

/**
 * Which output of a model of a family is its embedding: one that the family has, or what a classifier's last layer reads.
 * Undefined where it has neither.
 */
export function featuresOf(family: Family, graph: GraphProto): Features | undefined {
  const names = new Set(graph.output.map(({ name }) => name));
  const found = family.outputs.find(({ output }) => names.has(output));
  if (found !== undefined) return found;
  const before = names.has('logits') ? beforeClassifier(graph, 'logits') : undefined;
  return before === undefined ? undefined : { output: before };
}

const products: ReadonlySet<string> = new Set(['Gemm', 'MatMul', 'MatMulInteger', 'MatMulNBits']);
/** What may stand between a classifier's product and its scores: its bias, and what int8 and half precision add. */
const between: ReadonlySet<string> = new Set([
  'Add',
  'Mul',
  'Cast',
  'Identity',
  'DequantizeLinear',
  'QuantizeLinear',
]);
/** What int8 puts in front of a product. */
const quantising: ReadonlySet<string> = new Set(['DynamicQuantizeLinear', 'Cast', 'Identity']);
const furthest = 8;

/** The value that the product behind `scores` reads: the features that a classifier votes on, `[n, d]`. */
function beforeClassifier(graph: GraphProto, scores: string): string | undefined {
  const producers = producersOf(graph);
  const find = (value: string, steps: number): NodeProto | undefined => {
    const node = producers.get(value);
    if (node === undefined || steps > furthest) return undefined;
    if (products.has(node.opType)) return node;
    if (!between.has(node.opType)) return undefined;
    for (const input of node.input) {
      const found = find(input, steps + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  let value = find(scores, 0)?.input[0];
  for (let node = producers.get(value ?? ''); node !== undefined && quantising.has(node.opType);) {
    value = node.input[0];
    node = producers.get(value ?? '');
  }
  return value !== undefined && producers.has(value) ? value : undefined;
}
