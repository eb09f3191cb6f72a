import { z } from 'zod';
import { voteRules } from '../vote/rules.js';
import { unknownRules } from '../vote/unknown.js';

const share = z.number().min(0).max(1);

const isAscending = (values: readonly number[]): boolean =>
  values.every((value, i) => i === 0 || value > (values[i - 1] ?? NaN));
const neverFalls = (values: readonly number[]): boolean =>
  values.every((value, i) => i === 0 || value >= (values[i - 1] ?? NaN));

const confidenceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('temperature'), slope: z.number().min(0), bias: z.number() }),
  z
    .strictObject({
      kind: z.literal('isotonic'),
      shares: z.array(share).min(1).refine(isAscending, 'Expected ascending shares'),
      probabilities: z.array(share).refine(neverFalls, 'Expected probabilities that never fall'),
    })
    .refine(({ shares, probabilities }) => shares.length === probabilities.length, {
      message: 'Expected as many probabilities as shares',
    }),
]);

const binsSchema = z
  .strictObject({
    edges: z.array(z.number()).refine(isAscending, 'Expected ascending edges'),
    counts: z.array(z.int().min(0)),
  })
  .refine(({ edges, counts }) => counts.length === edges.length + 1, {
    message: 'Expected one count more than edges',
  });

const figuresSchema = z.strictObject({
  accuracy: share,
  ece: z.number(),
  brier: z.number(),
  nll: z.number(),
  auroc: z.number().nullable(),
});

/** `index/<name>/calibration.json`. */
export const calibrationSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** It holds for this version and this encoder alone. */
  index: z.strictObject({ name: z.string().min(1), version: z.string().min(1) }),
  encoder: z.strictObject({ name: z.string().min(1), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  createdAt: z.iso.datetime(),
  dataset: z.string(),
  seed: z.int().min(0),
  /** How many chose k and T, and on how many the rest was fitted. */
  images: z.strictObject({ vote: z.int().min(0), calibration: z.int().min(1) }),
  /** Images that are in the index too: over 0 only where it was forced, and then everything here is optimistic. */
  overlap: z.int().min(0),
  vote: z.strictObject({
    rule: z.enum(voteRules),
    temperature: z.number().positive(),
    k: z.int().min(1),
    priorCorrection: z.boolean(),
  }),
  confidence: confidenceSchema,
  unknown: z.strictObject({
    rule: z.enum(unknownRules),
    epsilon: z.number().gt(0).lt(1),
    familiarities: z.array(z.number()).min(1).refine(neverFalls, 'Expected ascending familiarities'),
    /** What p < epsilon comes to: below it is unknown; null where nothing can be. For people: it decides nothing. */
    threshold: z.number().nullable(),
    /** Share of the calibration images that the threshold keeps. */
    truePositiveRate: share,
  }),
  topSimilarity: binsSchema,
  /** As measured by cross-validation when it was fitted. */
  figures: z.strictObject({ before: figuresSchema, after: figuresSchema }),
  /** Which images all of this was fitted on, so that figures measured on the same ones can be told. */
  fingerprints: z.base64(),
});

export type CalibrationFile = z.infer<typeof calibrationSchema>;
