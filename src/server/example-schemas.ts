import { z } from 'zod';
import { changeKinds } from '../examples/journal-record.js';
import {
  atLeastParameter,
  fileSchema,
  indexQuerySchema,
  problemSchema,
  sequenceSchema,
  wholeNumber,
} from './schemas.js';

const mostListed = 1_000;
export const defaultListed = 100;

const limit = wholeNumber(/^(?:[1-9]\d{0,2}|1000)$/, {
  ...{ minimum: 1, maximum: mostListed },
  description: `How many to list; ${defaultListed} unless told`,
});
const one = z.string().optional();

export const listQuery = indexQuerySchema.extend({
  label: one.meta({ description: 'Only examples of this label' }),
  text: one.meta({
    description: 'Only examples with this text in their id, label or source, whatever its case',
  }),
  after: one.meta({ description: 'The id after which the list goes on: `next` of the page before' }),
  limit,
  atLeast: atLeastParameter,
});
export const logQuery = indexQuerySchema.extend({
  before: wholeNumber(/^[1-9]\d{0,14}$/, {
    minimum: 1,
    description: 'Only changes before this one: `next` of the page before',
  }),
  id: one.meta({ description: 'Only changes of this example' }),
  limit,
});

export const labelsQuery = indexQuerySchema.extend({
  advice: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'Whether to say which labels would gain most from more examples; not unless told' }),
});

export const idParams = z.object({ id: z.string() });
export const labelParams = z.object({ label: z.string() });
export const sequenceParams = z.object({ sequence: z.string().meta({ type: 'integer', minimum: 0 }) });

const exampleSchema = z.strictObject({
  id: z.string(),
  label: z.string(),
  source: z
    .string()
    .optional()
    .meta({ description: 'Only where the server was started with --expose-sources' }),
});

const changeSchema = z.strictObject({
  sequence: z.int(),
  operation: z.int().meta({ description: 'Number of the first of the changes that were made as one' }),
  at: z
    .string()
    .meta({ description: 'When, by the clock of whoever made it; the order is that of the numbers' }),
  kind: z.enum(changeKinds),
  id: z.string().meta({ description: 'Of the example' }),
  label: z.string().nullable().meta({ description: 'After the change; null where it was deleted' }),
  was: z.string().nullable().meta({ description: 'Before the change; null where there was none' }),
  reason: z.string().nullable(),
  who: z.string().nullable(),
  reverts: z.int().nullable().meta({ description: 'The operation that it takes back' }),
  source: z.string().optional().meta({
    description:
      'Of the example, where the change says it; only where the server was started with --expose-sources',
  }),
});

const outcomeSchema = z.strictObject({
  id: z.string(),
  label: z.string(),
  outcome: z.enum(['added', 'relabelled', 'deleted', 'restored', 'unchanged']),
  newLabel: z
    .literal(true)
    .optional()
    .meta({ description: 'Where no example had the label before: it may be a slip of the pen' }),
  similarLabels: z
    .array(z.string())
    .readonly()
    .optional()
    .meta({ description: 'Labels that a new one may be a slip of the pen for, where there are any' }),
});

export const changedSchema = outcomeSchema.extend({ sequence: sequenceSchema }).meta({ id: 'Changed' });
export type ChangedBody = z.infer<typeof changedSchema>;

const operationNumber = z
  .int()
  .nullable()
  .meta({ description: 'By which it can be taken back; null where nothing changed' });

export const editedSchema = z
  .strictObject({ sequence: sequenceSchema, operation: operationNumber, outcomes: z.array(outcomeSchema) })
  .meta({ id: 'Edited', description: 'What became of each example, in the order sent' });

export const addedSchema = z
  .strictObject({
    sequence: sequenceSchema,
    operation: operationNumber,
    results: z.array(
      z.union([
        outcomeSchema.extend({ file: fileSchema }),
        z.strictObject({ file: fileSchema, error: problemSchema }),
      ]),
    ),
  })
  .meta({
    id: 'Added',
    description: 'One result an image, in the order sent; one that is bad keeps out no other',
  });
export type AddedBody = z.infer<typeof addedSchema>;

export const operationSchema = z
  .strictObject({
    sequence: sequenceSchema,
    operation: operationNumber,
    changed: z.int().meta({ description: 'Examples that are another than before' }),
  })
  .meta({ id: 'Operation' });

export const examplesSchema = z
  .strictObject({
    sequence: sequenceSchema,
    examples: z.array(exampleSchema),
    next: z.string().nullable().meta({ description: 'What `after` is for the next page; null at the end' }),
  })
  .meta({ id: 'Examples' });

export const exampleHistorySchema = exampleSchema
  .extend({
    sequence: sequenceSchema,
    changes: z.array(changeSchema).meta({ description: 'What happened to it, newest first' }),
  })
  .meta({ id: 'Example' });

export const labelsSchema = z
  .strictObject({
    sequence: sequenceSchema,
    labels: z.array(z.strictObject({ label: z.string(), examples: z.int() })),
    advice: z
      .array(
        z.strictObject({
          label: z.string(),
          accuracy: z.number().nullable().meta({ description: 'Leave-one-out, with all its examples' }),
          gain: z.number().nullable().meta({
            description: 'What twice as many examples would add to it; null where it cannot be told',
          }),
        }),
      )
      .nullable()
      .optional()
      .meta({ description: 'The greatest gain first, where it was asked for; null while it is drawn' }),
  })
  .meta({ id: 'Labels' });

export const changesSchema = z
  .strictObject({
    changes: z.array(changeSchema).meta({ description: 'Newest first' }),
    next: z.int().nullable().meta({ description: 'What `before` is for the next page; null at the end' }),
  })
  .meta({ id: 'Changes' });

export const versionsSchema = z
  .strictObject({
    current: z.string(),
    sequence: sequenceSchema,
    changed: z.int().meta({ description: 'Examples that changed since that version was built' }),
    compacting: z.boolean(),
    writable: z.boolean().meta({ description: 'Whether this server may change the index' }),
    name: z.string(),
    changesSince: z.int().meta({ description: 'Changes that the version does not hold' }),
    examples: z.int(),
    labels: z.array(z.strictObject({ label: z.string(), examples: z.int() })),
    encoder: z.strictObject({ name: z.string(), version: z.string(), sha256: z.string() }),
    dimension: z.int(),
    search: z.enum(['hnsw', 'exact']).meta({ description: 'Whether the version has a graph' }),
    dataset: z.string().meta({ description: 'What the version was built of' }),
    versions: z
      .array(
        z.strictObject({
          version: z.string(),
          createdAt: z.string(),
          sequence: z.int(),
          examples: z.int(),
          bytes: z.int(),
        }),
      )
      .meta({ description: 'Those that are kept, the oldest first' }),
    bytes: z.int().meta({ description: 'Of all that lies in the folder of the index' }),
  })
  .meta({ id: 'Versions' });
export type VersionsBody = z.infer<typeof versionsSchema>;

export const calibrationQuery = indexQuerySchema.extend({
  share: z
    .string()
    .regex(/^(?:0\.\d{1,9}|1(?:\.0{1,9})?)$/, 'Expected a number above 0, to 1')
    .transform(Number)
    .refine((share) => share > 0, 'Expected a number above 0, to 1')
    .optional()
    .meta({
      ...{ type: 'number', exclusiveMinimum: 0, maximum: 1, default: 1 },
      description: 'Share of what was taught that is asked, chosen by the digests of the images',
    }),
  replace: z.enum(['true', 'false']).optional().meta({
    description:
      'Whether it takes the place of a calibration that is not stale and was fitted on more images, or can call images unknown where this one cannot; not unless told',
  }),
});

const figuresSchema = z.strictObject({
  accuracy: z.number(),
  ece: z.number(),
  brier: z.number(),
  nll: z.number(),
  auroc: z.number().nullable(),
});

export const calibratedSchema = z
  .strictObject({
    name: z.string(),
    fittedFor: z
      .string()
      .meta({ description: 'The version of the index, which all changes were folded into' }),
    images: z.int().min(1).meta({ description: 'How many examples were asked' }),
    confidence: z.enum(['share', 'temperature', 'isotonic', 'logistic']),
    figures: z.strictObject({ before: figuresSchema, after: figuresSchema }),
    warnings: z.array(z.string()).meta({
      description:
        'What whoever uses it should know: labels that it has not seen, that nothing can be unknown',
    }),
    used: z.boolean().meta({
      description: 'False where the server was started with vote settings of its own, to which none applies',
    }),
  })
  .meta({ id: 'Calibrated' });

export const compactedSchema = z
  .strictObject({
    name: z.string(),
    version: z.string(),
    sequence: sequenceSchema,
    examples: z.int(),
    changed: z.boolean(),
    refused: z.string().nullable().meta({ description: 'Why the version has no graph, where that is' }),
  })
  .meta({ id: 'Compacted' });
