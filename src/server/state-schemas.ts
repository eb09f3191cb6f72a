import { z } from 'zod';
import { indexQuerySchema, sequenceSchema } from './schemas.js';

const state = z.string().min(1).max(100);

/** Named of each kind, unless told. */
export const defaultNamed = 100;

export const differencesQuery = indexQuerySchema.extend({
  from: state.meta({ description: 'SEQUENCE, VERSION or VERSION@SEQUENCE, as `GET /versions` names them' }),
  to: state.meta({ description: 'As `from`' }),
  limit: z
    .string()
    .regex(/^(?:[1-9]\d{0,2}|1000)$/, 'Expected a whole number from 1 to 1000')
    .transform(Number)
    .optional()
    .meta({
      ...{ type: 'integer', minimum: 1, maximum: 1000, default: defaultNamed },
      description: 'Most examples of each kind that are named',
    }),
});

const stateSchema = z.strictObject({ version: z.string(), sequence: sequenceSchema });
const exampleFields = { id: z.string(), label: z.string(), source: z.string().optional() };

export const differencesSchema = z
  .strictObject({
    from: stateSchema,
    to: stateSchema,
    counts: z.strictObject({ added: z.int(), deleted: z.int(), relabelled: z.int() }),
    added: z.array(z.strictObject(exampleFields)),
    deleted: z.array(z.strictObject(exampleFields)),
    relabelled: z.array(z.strictObject({ ...exampleFields, was: z.string() })),
    labels: z
      .array(
        z.strictObject({
          label: z.string(),
          before: z.int(),
          after: z.int(),
          added: z.int(),
          deleted: z.int(),
          gained: z.int(),
          lost: z.int(),
        }),
      )
      .meta({ description: 'Those that differ' }),
  })
  .meta({ id: 'Differences' });

export const verificationSchema = z
  .strictObject({
    version: z.string().nullable(),
    versions: z.int().meta({ description: 'How many were looked at' }),
    changes: z.int().meta({ description: 'How many of the journal were looked at' }),
    repaired: z.array(z.string()).meta({ description: 'What was wrong and was made anew' }),
    defects: z.array(z.string()).meta({ description: 'What is wrong; empty where all is whole' }),
  })
  .meta({ id: 'Verification' });
