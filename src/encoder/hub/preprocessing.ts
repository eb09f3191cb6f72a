import { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import { type Geometry, geometrySchema, type Kernel, type Size } from '../../image/geometry.js';
import type { Preprocessing } from '../add/added-nodes.js';

/** What a model does to an image before it looks at it. */
export interface ImageSteps {
  readonly geometry: Geometry;
  readonly values: Omit<Preprocessing, 'layout'>;
}

const side = z.int().min(1).max(4096);
const sizeSchema = z.union([
  side,
  z.object({ height: side, width: side }),
  z.object({ shortest_edge: side }),
]);
const three = z.tuple([z.number(), z.number(), z.number()]);
/** What values are divided by. */
const deviations = z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]);

/** https://huggingface.co/docs/transformers/main_classes/image_processor */
const processorSchema = z.object({
  image_processor_type: z.string().optional(),
  feature_extractor_type: z.string().optional(),
  do_resize: z.boolean().nullish(),
  size: sizeSchema.nullish(),
  resample: z.int().nullish(),
  crop_pct: z.number().positive().max(1).nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: z.union([side, z.object({ height: side, width: side })]).nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().positive().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: three.nullish(),
  image_std: deviations.nullish(),
  include_top: z.boolean().nullish(),
  rescale_offset: z.boolean().nullish(),
  do_flip_channel_order: z.boolean().nullish(),
});
type Processor = z.infer<typeof processorSchema>;

/** https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/_pretrained.py */
const timmSchema = z.object({
  input_size: z.tuple([z.literal(3), side, side]),
  interpolation: z.string().default('bicubic'),
  crop_pct: z.number().positive().default(0.875),
  crop_mode: z.string().default('center'),
  mean: three,
  std: deviations,
});

/** Pillow's filters by their numbers, and by the names that timm gives them. */
const kernelsByNumber: Readonly<Record<number, Kernel>> = {
  0: 'nearest',
  1: 'lanczos3',
  2: 'linear',
  3: 'cubic',
};
const kernelsByName: Readonly<Record<string, Kernel>> = {
  nearest: 'nearest',
  bilinear: 'linear',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
};

export interface StepsFiles {
  /** Of `preprocessor_config.json`, where there is one. */
  readonly processor: unknown;
  /** Of `pretrained_cfg` in a `config.json` of timm's, where there is one. */
  readonly timm: unknown;
}

/**
 * What the files beside a model say of its images.
 * @throws NearvoteError `encoder_unsupported` where they say nothing, or something that nearvote does not do
 */
export function readSteps({ processor, timm }: StepsFiles): ImageSteps {
  if (processor !== undefined)
    return stepsOfProcessor(read(processorSchema, processor, 'preprocessor_config.json'));
  if (timm !== undefined) return stepsOfTimm(read(timmSchema, timm, 'pretrained_cfg of config.json'));
  throw unsupported(
    'Expected a preprocessor_config.json, or a pretrained_cfg of timm in config.json, but the repository has neither: nothing says at which size and scale the model sees images. Where you know, download its ONNX file and give both to npx nearvote encoder add',
  );
}

/** As timm's `transforms_imagenet_eval`. */
function stepsOfTimm({
  input_size,
  interpolation,
  crop_pct,
  crop_mode,
  mean,
  std,
}: z.infer<typeof timmSchema>): ImageSteps {
  const [, height, width] = input_size;
  const kernel = kernelsByName[interpolation];
  if (kernel === undefined)
    throw unsupported(
      `Expected a resize by ${Object.keys(kernelsByName).join(', ')} but the model's is ${interpolation}`,
    );
  const values = { channels: 'rgb', scale: 255, mean, std } as const;
  const scaled = { width: Math.floor(width / crop_pct), height: Math.floor(height / crop_pct) };
  const crop = { width, height };
  if (crop_mode === 'squash')
    return { geometry: geometry({ resize: scaled, crop, fit: 'fill', kernel }), values };
  if (crop_mode !== 'center')
    throw unsupported(`Expected crop_mode center or squash but the model's is ${crop_mode}`);
  if (width !== height) return { geometry: geometry({ resize: scaled, crop, fit: 'cover', kernel }), values };
  return { geometry: geometry({ resize: { shortestEdge: scaled.width }, crop, kernel }), values };
}

function stepsOfProcessor(processor: Processor): ImageSteps {
  return { geometry: geometryOf(processor), values: valuesOf(processor) };
}

/** Where the image processors of transformers begin a crop; timm's transforms are torchvision's. */
const halves = 'down' as const;

function geometryOf(processor: Processor): Geometry {
  const type = typeOf(processor);
  const kernel = kernelsByNumber[processor.resample ?? (/^(EfficientNet)/.test(type) ? 0 : 2)];
  if (kernel === undefined)
    throw unsupported(
      `Expected a resample of 0 to 3 in preprocessor_config.json but received ${processor.resample}`,
    );
  const asked = processor.do_center_crop === true ? squareOr(processor.crop_size ?? undefined) : undefined;
  const crop = asked && { ...asked, halves };
  if (processor.do_resize === false) {
    if (crop === undefined)
      throw unsupported(
        'Expected images of one size but preprocessor_config.json neither resizes nor crops them',
      );
    return geometry({ resize: 'none', crop, kernel });
  }
  const { size } = processor;
  if (size === undefined || size === null)
    throw unsupported('Expected a size in preprocessor_config.json but there is none');
  // ConvNeXt's: the shorter edge is a little longer than what is cut out of it, below 384 pixels.
  if ((processor.crop_pct !== undefined && processor.crop_pct !== null) || /^ConvNext/.test(type)) {
    const edge = edgeOf(size);
    if (edge >= 384) return exact({ width: edge, height: edge }, kernel);
    const shortestEdge = Math.floor(edge / (processor.crop_pct ?? 224 / 256));
    return geometry({ resize: { shortestEdge }, crop: { width: edge, height: edge, halves }, kernel });
  }
  const isShortest = typeof size === 'number' ? keepsProportions.test(type) : 'shortest_edge' in size;
  if (isShortest) {
    const shortestEdge = edgeOf(size);
    if (crop !== undefined) return geometry({ resize: { shortestEdge }, crop, kernel });
    throw unsupported(
      'Expected a crop after a resize to the shortest edge but preprocessor_config.json has none: images would be of many sizes',
    );
  }
  const resize = squareOr(typeof size === 'number' || !('shortest_edge' in size) ? size : undefined);
  if (resize === undefined) throw unsupported('Expected a height and width in preprocessor_config.json');
  return crop === undefined ? exact(resize, kernel) : geometry({ resize, crop, fit: 'fill', kernel });
}

/** Whose plain number as a size is the shorter edge; for every other it is height and width. */
const keepsProportions = /^(CLIP|Bit|ConvNext|MobileNet|Chinese|LeViT|Levit)/;

function typeOf({ image_processor_type, feature_extractor_type }: Processor): string {
  return image_processor_type ?? feature_extractor_type ?? '';
}

function valuesOf(processor: Processor): ImageSteps['values'] {
  const { rescale_factor, image_mean, image_std } = processor;
  if (processor.rescale_offset === true)
    throw unsupported('Expected no rescale_offset in preprocessor_config.json');
  const scale = processor.do_rescale === false ? 1 : 1 / (rescale_factor ?? 1 / 255);
  const channels = processor.do_flip_channel_order === true ? 'bgr' : 'rgb';
  if (processor.do_normalize === false)
    return { channels, scale: tidy(scale), mean: [0, 0, 0], std: [1, 1, 1] };
  if (!image_mean || !image_std)
    throw unsupported('Expected image_mean and image_std in preprocessor_config.json, because it normalises');
  // EfficientNet's divides by the deviation once more for its classifier, without which its features are others too.
  const twice = /^EfficientNet/.test(typeOf(processor)) && processor.include_top !== false;
  const [r, g, b] = image_std;
  return { channels, scale: tidy(scale), mean: image_mean, std: twice ? [r * r, g * g, b * b] : image_std };
}

/** 254.99999999999997 is 255. */
function tidy(scale: number): number {
  return Number(scale.toPrecision(12));
}

function edgeOf(size: z.infer<typeof sizeSchema>): number {
  if (typeof size === 'number') return size;
  if ('shortest_edge' in size) return size.shortest_edge;
  return Math.min(size.width, size.height);
}

function squareOr(size: number | Size | undefined): Size | undefined {
  if (typeof size === 'number') return { width: size, height: size };
  return size && { width: size.width, height: size.height };
}

function exact(size: Size, kernel: Kernel): Geometry {
  return geometry({ resize: size, fit: 'fill', kernel });
}

function geometry(value: Geometry): Geometry {
  const parsed = geometrySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unsupported(
    `${issue?.message ?? 'Expected another geometry'} but the model's files say ${JSON.stringify(value)}`,
  );
}

function read<Out>(schema: z.ZodType<Out>, value: unknown, file: string): Out {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unsupported(
    `Expected other values in ${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
  );
}

function unsupported(message: string): NearvoteError {
  return new NearvoteError('encoder_unsupported', message);
}
