import { z } from 'zod';
import { defaultMinProbability, findingKinds, leftReasons } from '../audit/apply-findings.js';
import { findingSchema } from '../audit/findings-file.js';
import { reasonFields } from './example-body.js';
import { indexQuerySchema, sequenceSchema } from './schemas.js';

const yesOrNo = z.enum(['true', 'false']).optional();

export const findingsQuery = indexQuerySchema.extend({
  kind: z.enum(findingKinds).optional().meta({ description: 'Apply only findings of this kind' }),
  minProbability: z
    .string()
    .regex(/^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/, 'Expected a number from 0 to 1')
    .transform(Number)
    .optional()
    .meta({
      ...{ type: 'number', minimum: 0, maximum: 1 },
      description: `Apply a mislabelled finding only from this probability on; ${defaultMinProbability} unless told`,
    }),
  unconfirmed: yesOrNo.meta({
    description: 'Whether duplicates and leaks are applied that no pixels confirm; not unless told',
  }),
  dryRun: yesOrNo.meta({ description: 'Whether it is only said what would be done' }),
});

/** `POST /findings`: one finding, or several. */
export const findingsJson = z.union([
  findingSchema,
  z.strictObject({ findings: z.array(findingSchema).min(1), who: reasonFields.who }),
]);

export const appliedSchema = z
  .strictObject({
    sequence: sequenceSchema,
    operation: z
      .int()
      .nullable()
      .meta({ description: 'By which all of it can be taken back; null where nothing was changed' }),
    relabelled: z.int(),
    deleted: z.int(),
    labelsGone: z.array(z.string()).meta({ description: 'Labels of which no example is left' }),
    results: z
      .array(
        z.discriminatedUnion('outcome', [
          z.strictObject({ outcome: z.literal('applied'), relabelled: z.int(), deleted: z.int() }),
          z.strictObject({
            outcome: z.literal('left'),
            because: z.enum(leftReasons),
            detail: z.string(),
          }),
        ]),
      )
      .meta({ description: 'Of each finding, in the order sent; one that is left keeps out no other' }),
  })
  .meta({ id: 'Applied' });
export type AppliedBody = z.infer<typeof appliedSchema>;
