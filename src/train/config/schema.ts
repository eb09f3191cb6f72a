import { z } from 'zod';
import { parseDuration } from '../../domain/duration.js';
import { augmentSchema, mixSchema } from './augment-schema.js';

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const count = z.int().min(1);

export const dataSchema = z.strictObject({
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

export const optimizerSchema = z.discriminatedUnion('kind', [
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

export const scheduleSchema = z.strictObject({
  kind: z.enum(['cosine', 'one-cycle']).default('cosine'),
  warmUp: share.default(0.05),
  final: share.default(0),
});

export const validationSchema = z.strictObject({
  /** Epochs between two. */
  every: count.default(5),
  k: count.default(20),
  /** Of the softmax vote. */
  temperature: positive.default(0.07),
  /** By which the best checkpoint is chosen; accuracy is that of the vote. */
  metric: z.enum(['precision@1', 'accuracy', 'R-precision', 'MAP@R']).default('precision@1'),
});

/** Of the encoder that is written. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]*$/i, 'Expected letters, digits, dots and dashes');
export const seedSchema = z.int().min(0).max(0xffffffff).default(42);
/** Images; a step takes two views of each. */
export const batchSchema = z.int().min(2).max(65_536).default(256);

/** In seconds; undefined for what is no duration, and for no time at all. */
export function parseBudget(text: string): number | undefined {
  const milliseconds = parseDuration(text) ?? 0;
  return milliseconds > 0 ? milliseconds / 1000 : undefined;
}

/** Written as `2h` or `90m`, read as seconds. */
export const durationSchema = z.string().transform((text, context) => {
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
