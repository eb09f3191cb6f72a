import { z } from 'zod';
import { changedSchema } from './example-schemas.js';
import { reasonFields } from './example-body.js';
import { indexQuerySchema, sequenceSchema, wholeNumber } from './schemas.js';

const mostReviewed = 100;
export const defaultReviewed = 20;

export const reviewQuery = indexQuerySchema.extend({
  limit: wholeNumber(/^(?:[1-9]\d?|100)$/, {
    ...{ minimum: 1, maximum: mostReviewed },
    description: `How many to list; ${defaultReviewed} unless told`,
  }),
});

/** `POST /feedback`. */
export const feedbackJson = z.strictObject({ id: z.string(), label: z.string(), ...reasonFields });

/** `POST /review/{id}`. */
export const answerJson = z.union([
  z.strictObject({ label: z.string(), ...reasonFields }),
  z.strictObject({ none: z.literal(true), ...reasonFields }),
  z.strictObject({ dismiss: z.literal(true), ...reasonFields }),
]);

export const reviewSchema = z
  .strictObject({
    waiting: z.int().meta({ description: 'How many images wait in all' }),
    decisions: z
      .array(
        z.strictObject({
          id: z.string(),
          at: z.string().meta({ description: 'When it was asked' }),
          label: z.string(),
          outcome: z.enum(['known', 'unknown']),
          confidence: z.number(),
          pValue: z.number().optional(),
          picture: z.string().meta({ description: 'Where its picture is' }),
        }),
      )
      .meta({ description: 'Most useful first: uncertain, and unlike those before' }),
  })
  .meta({ id: 'Review' });
export type ReviewBody = z.infer<typeof reviewSchema>;

export const answeredSchema = z.union([
  changedSchema,
  z.strictObject({ id: z.string(), sequence: sequenceSchema, outcome: z.literal('dismissed') }),
]);
