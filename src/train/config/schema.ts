import { z } from 'zod';
import { parseDuration } from '../../domain/duration.js';
import type { Operation } from '../augment/compose.js';
import type { MixOptions } from '../augment/mix.js';
import { usualSchedule } from '../schedule.js';

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const count = z.int().min(1);
const padding = z.enum(['reflect', 'zero']).default('reflect');

/** From and to, in that order. */
const range = (least: number, most: number) =>
  z
    .tuple([z.number().gt(least).max(most), z.number().gt(least).max(most)])
    .refine(([from, to]) => from <= to, { error: 'Expected the smaller number first' });

const operationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('randomResizedCrop'),
    scale: range(0, 1).default([0.2, 1]),
    ratio: range(0, 10).default([3 / 4, 4 / 3]),
  }),
  z.strictObject({
    kind: z.literal('paddingCrop'),
    padding: z.int().min(0).max(256),
    mode: padding,
  }),
  z.strictObject({ kind: z.literal('horizontalFlip'), probability: share.default(0.5) }),
  z.strictObject({ kind: z.literal('rotation'), degrees: z.number().min(0).max(180), mode: padding }),
  z.strictObject({
    kind: z.literal('colourJitter'),
    probability: share.default(0.8),
    brightness: share.default(0.4),
    contrast: share.default(0.4),
    saturation: share.default(0.4),
    hue: z.number().min(0).max(0.5).default(0.1),
  }),
  z.strictObject({ kind: z.literal('toGrey'), probability: share.default(0.2) }),
  z.strictObject({
    kind: z.literal('cutout'),
    probability: share.default(0.5),
    side: z.number().gt(0).max(1),
    fill: z.int().min(0).max(255).default(128),
  }),
]) satisfies z.ZodType<Operation>;

/** What is done to each view, in this order. */
const augmentSchema = z.array(operationSchema);

/** What is done to a batch of views. */
const mixSchema = z.strictObject({
  kind: z.enum(['mixup', 'cutmix']),
  /** Beyond these bounds Beta's sampling underflows or is refused too often. */
  alpha: z.number().min(0.05).max(4).default(1),
  probability: share.default(0.5),
}) satisfies z.ZodType<MixOptions>;

const dataSchema = z.strictObject({
  /** A path as every command takes it: CIFAR binaries, a folder per class, a list. */
  train: z.string().min(1),
  /** Another path, or a share of the images to train on, held out by class. */
  validation: z
    .union([z.string().min(1), z.strictObject({ holdOut: z.number().gt(0).lt(1) })], {
      error: 'Expected a path, or holdOut: with a share between 0 and 1',
    })
    .optional(),
  /** Side of the images in memory; by the kind of dataset unless told. */
  storageSize: z.int().min(8).max(1024).optional(),
});

const modelSchema = z.strictObject({
  architecture: z.enum(['compact', 'resnet20', 'resnet18', 'resnet34']),
  /** Channels of each stage; those of the architecture unless told. */
  widths: z.array(count.max(4096)).min(1).max(8).optional(),
  inputSize: z.int().min(8).max(1024),
  /** How images are brought to that size, in training, in validation and when served. */
  fit: z.enum(['fill', 'cover', 'contain']).default('cover'),
  kernel: z.enum(['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3']).default('cubic'),
});

const optimizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sgd'),
    learningRate: positive,
    momentum: share.default(0.9),
    nesterov: z.boolean().default(true),
    weightDecay: z.number().min(0).default(5e-4),
  }),
  z.strictObject({
    kind: z.literal('adamw'),
    learningRate: positive,
    beta1: share.lt(1).default(0.9),
    beta2: share.lt(1).default(0.999),
    epsilon: positive.default(1e-8),
    weightDecay: z.number().min(0).default(0.05),
  }),
]);

const scheduleSchema = z
  .strictObject({
    kind: z.enum(['cosine', 'one-cycle']).default('cosine'),
    warmUp: share.optional(),
    final: share.optional(),
  })
  .transform(({ kind, warmUp, final }) => {
    const usual = usualSchedule[kind];
    return { kind, warmUp: warmUp ?? usual.warmUp, final: final ?? usual.final };
  });

const validationSchema = z.strictObject({
  /** Epochs between two. */
  every: count.default(5),
  k: count.default(20),
  /** Of the softmax vote. */
  temperature: positive.default(0.07),
  /** By which the best checkpoint is chosen; accuracy is that of the vote. */
  metric: z.enum(['precision@1', 'accuracy', 'R-precision', 'MAP@R']).default('precision@1'),
});

/** Of the encoder that is written. */
const nameSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/i, 'Expected letters, digits, dots and dashes');
const seedSchema = z.int().min(0).max(0xffffffff).default(42);
/** Images; a step takes two views of each. */
const batchSchema = z.int().min(2).max(65_536).default(256);

/** In seconds; undefined for what is no duration, and for no time at all. */
export function parseBudget(text: string): number | undefined {
  const milliseconds = parseDuration(text) ?? 0;
  return milliseconds > 0 ? milliseconds / 1000 : undefined;
}

/** Written as `2h` or `90m`, read as seconds. */
const durationSchema = z.string().transform((text, context) => {
  const seconds = parseBudget(text);
  if (seconds !== undefined) return seconds;
  context.addIssue({ code: 'custom', message: 'Expected a duration such as 2h, 90m or 1h30m' });
  return z.NEVER;
});

/** What `nearvote train CONFIG.yml` reads. */
export const trainConfigSchema = z
  .strictObject({
    name: nameSchema,
    version: z.string().min(1).default('1.0.0'),
    licence: z.string().min(1).default('unknown'),
    seed: seedSchema,
    data: dataSchema,
    model: modelSchema,
    batch: batchSchema,
    epochs: count,
    /** In seconds; the schedule ends with whichever of epochs and budget ends first. */
    budget: durationSchema.optional(),
    sampler: z.enum(['plain', 'balanced']).default('plain'),
    optimizer: optimizerSchema,
    schedule: scheduleSchema.prefault({}),
    /** The most that the norm of the whole gradient may be. */
    clip: positive.optional(),
    ema: z.strictObject({ decay: share.lt(1).default(0.999) }).optional(),
    /** Of the loss. */
    temperature: positive.default(0.1),
    augment: augmentSchema,
    mix: mixSchema.optional(),
    validation: validationSchema.prefault({}),
    /** In validations without a better one. */
    earlyStopping: z.strictObject({ patience: count }).optional(),
    checkpoint: z.strictObject({ everyMinutes: positive.default(10) }).prefault({}),
    /** Of the graph; the cores of the machine unless told. */
    threads: count.optional(),
    /** Threads that make views. */
    workers: count.max(64).default(1),
  })
  .superRefine(({ data, model, earlyStopping }, context) => {
    if (data.storageSize !== undefined && data.storageSize < model.inputSize) {
      context.addIssue({
        code: 'custom',
        path: ['data', 'storageSize'],
        message: `Expected at least model.inputSize, ${model.inputSize}`,
      });
    }
    if (earlyStopping !== undefined && data.validation === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['earlyStopping'],
        message: 'Expected data.validation too, by which to stop',
      });
    }
  });

export type TrainConfig = z.infer<typeof trainConfigSchema>;

/** As the backbone's unless told, and no more than that. */
const dimension = count.max(65_536).optional();

/** What `nearvote train --backbone DIR CONFIG.yml` reads. */
export const adapterConfigSchema = z
  .strictObject({
    name: nameSchema,
    version: z.string().min(1).default('1.0.0'),
    /** The backbone's unless told: its weights are part of what is written. */
    licence: z.string().min(1).optional(),
    seed: seedSchema,
    data: dataSchema,
    /** The folder of an encoder. */
    backbone: z.string().min(1).optional(),
    /** Of each image, embedded once; the first is the image as it is served. */
    views: z.int().min(2).max(256).default(8),
    adapter: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('linear'), dimension }),
      z.strictObject({ kind: z.literal('mlp'), dimension, hidden: count.max(8192).default(512) }),
    ]),
    /** All images where there are fewer. */
    batch: batchSchema,
    epochs: count,
    /** In seconds, of training; embedding comes before it. */
    budget: durationSchema.optional(),
    sampler: z.enum(['plain', 'balanced']).default('plain'),
    optimizer: optimizerSchema,
    schedule: scheduleSchema.prefault({}),
    clip: z.number().positive().optional(),
    ema: z.strictObject({ decay: z.number().min(0).lt(1).default(0.999) }).optional(),
    /** Of the loss. */
    temperature: z.number().positive().default(0.1),
    augment: augmentSchema,
    validation: validationSchema.prefault({}),
    earlyStopping: z.strictObject({ patience: count }).optional(),
    checkpoint: z.strictObject({ everyMinutes: z.number().positive().default(10) }).prefault({}),
    threads: count.optional(),
  })
  .superRefine(({ data, earlyStopping }, context) => {
    if (earlyStopping === undefined || data.validation !== undefined) return;
    context.addIssue({
      code: 'custom',
      path: ['earlyStopping'],
      message: 'Expected data.validation too, by which to stop',
    });
  });

export type AdapterConfig = z.infer<typeof adapterConfigSchema>;
