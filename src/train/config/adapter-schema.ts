import { z } from 'zod';
import { augmentSchema } from './augment-schema.js';
import {
  batchSchema,
  dataSchema,
  durationSchema,
  nameSchema,
  optimizerSchema,
  scheduleSchema,
  seedSchema,
  validationSchema,
} from './schema.js';

const count = z.int().min(1);
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
