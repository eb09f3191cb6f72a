import { z, type ZodType } from 'zod';

import { errorCodes, NearvoteError } from '../domain/errors.js';
import { runtimeNames } from '../encoder/encoder.js';
import { voteRules } from '../vote/rules.js';
import { quoted } from '../domain/quoted.js';

/** A query value arrives as text; `0x10`, ` 5` and the empty string are not numbers here. */
export const wholeNumber = (
  pattern: RegExp,
  meta: { minimum: number; maximum?: number; description: string },
) =>
  z
    .string()
    .regex(pattern, `Expected a whole number ${rangeOf(meta)}`)
    .transform(Number)
    .optional()
    .meta({ type: 'integer', ...meta });

const rangeOf = ({ minimum, maximum }: { minimum: number; maximum?: number }): string =>
  maximum === undefined ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;

/** Which index a request is for; which names there are, the server says. */
const indexParameter = (description: string) => z.string().min(1).optional().meta({ description });

const askedIndex = indexParameter(
  'Name of the index that is asked, where the server has several; the first unless told',
);

/** Of routes that tell what an index holds: a sequence that a change was answered with. */
export const atLeastParameter = wholeNumber(/^(?:0|[1-9]\d{0,14})$/, {
  minimum: 0,
  description:
    'Only a state of the index that has made this change is asked; where there is none yet, the answer is index_behind',
});

/** The query of a route that asks an index and takes nothing else. */
export const indexQuerySchema = z.strictObject({ index: askedIndex });

/** The query of `POST /admin/reload`. */
export const reloadQuerySchema = z.strictObject({
  index: indexParameter('Name of the index that is reloaded, where the server has several; all unless told'),
});

/** What the query of `POST /classify` may say; `most` is for the document, what is past it is refused with a reason. */
export const classifyQuery = (most: { readonly k?: number; readonly neighbours?: number } = {}) =>
  z.strictObject({
    k: wholeNumber(/^[1-9]\d{0,8}$/, {
      minimum: 1,
      ...(most.k === undefined ? {} : { maximum: most.k }),
      description: 'How many neighbours vote; at most the index has',
    }),
    vote: z.enum(voteRules).optional().meta({ description: 'How their votes are weighed' }),
    neighbours: wholeNumber(/^(0|[1-9]\d{0,8})$/, {
      minimum: 0,
      ...(most.neighbours === undefined ? {} : { maximum: most.neighbours }),
      description: 'How many neighbours to show, 0 to k; 5 unless told',
    }),
    index: askedIndex,
    atLeast: atLeastParameter,
  });
const classifyQuerySchema = classifyQuery();
export type ClassifyQuery = z.infer<typeof classifyQuerySchema>;

const namedVersionSchema = z.strictObject({ name: z.string(), version: z.string() });

export const sequenceSchema = z
  .int()
  .min(0)
  .meta({ description: 'Of the last change that the index has made; 0 where it has made none' });

const calibrationAgeSchema = z
  .strictObject({
    fittedFor: z
      .string()
      .meta({ description: 'The version of the index that the calibration was fitted for' }),
    changedSince: z.number().min(0).max(1).meta({ description: 'Share of the examples that changed since' }),
    stale: z.boolean().meta({
      description:
        'Whether it should be fitted anew: much has changed, or there is a label that it never saw',
    }),
  })
  .meta({ description: 'How far the index has moved away from the calibration that is served' });

const neighbourSchema = z.strictObject({
  id: z.string(),
  label: z.string(),
  similarity: z.number().meta({ description: 'Cosine, higher is nearer' }),
  source: z
    .string()
    .optional()
    .meta({ description: 'Only where the server was started with --expose-sources' }),
});

export const decisionSchema = z
  .strictObject({
    id: z.string(),
    label: z.string(),
    confidence: z.number().min(0).max(1).meta({
      description:
        "Uncalibrated: the top label's share of the vote. Calibrated: the probability that the label is right, for images like those of the calibration",
    }),
    pValue: z.number().min(0).max(1).optional().meta({
      description:
        'Only where a calibration is served and the request set neither k nor vote of its own: the conformal p-value of the image being known; below the epsilon of the calibration it is unknown',
    }),
    outcome: z.enum(['known', 'unknown']).meta({
      description:
        'unknown: the label is none, or there is a pValue and the image is less like the index than nearly all known images; label, scores and neighbours are what came nearest',
    }),
    calibrated: z.boolean().meta({
      description:
        'Whether the confidence was fitted: a calibration is served in which something did better than the share of the vote, and the request set neither k nor vote of its own',
    }),
    calibration: calibrationAgeSchema.optional(),
    scores: z
      .array(z.strictObject({ label: z.string(), score: z.number() }))
      .meta({ description: 'Every label that got votes, best first; scores sum to 1' }),
    neighbours: z.array(neighbourSchema).meta({ description: 'Nearest first' }),
    index: namedVersionSchema.extend({ sequence: sequenceSchema }),
    encoder: namedVersionSchema,
  })
  .meta({ id: 'Decision' });
export type DecisionBody = z.infer<typeof decisionSchema>;

export const embeddingSchema = z
  .strictObject({
    embedding: z.array(z.number()).meta({ description: 'Of unit length' }),
    dimension: z.int(),
    encoder: namedVersionSchema,
  })
  .meta({ id: 'Embedding' });
export type EmbeddingBody = z.infer<typeof embeddingSchema>;

export const problemSchema = z
  .strictObject({
    type: z.string().meta({ description: 'Where the code is explained' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional().meta({ description: 'What was expected and what came' }),
    code: z.enum(errorCodes),
    instance: z.string().meta({ description: 'The id of the request, as in X-Request-Id' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' });
export type Problem = z.infer<typeof problemSchema>;

/** Of several images: whatever else a result is, it says which file it is of. */
export const fileSchema = z
  .string()
  .optional()
  .meta({ description: 'The name of the file, where the image came in a form; cut after 255 letters' });

const failedImageSchema = z.strictObject({ file: fileSchema, error: problemSchema });

export const decisionsSchema = z
  .strictObject({
    results: z.array(z.union([decisionSchema.extend({ file: fileSchema }), failedImageSchema])),
  })
  .meta({
    id: 'Decisions',
    description: 'One result an image, in the order sent; whenever images was sent, be it one',
  });

export const embeddingsSchema = z
  .strictObject({
    results: z.array(z.union([embeddingSchema.extend({ file: fileSchema }), failedImageSchema])),
  })
  .meta({
    id: 'Embeddings',
    description: 'One result an image, in the order sent; whenever images was sent, be it one',
  });

export const healthSchema = z.strictObject({ status: z.literal('ok') });

export const reloadSchema = z.strictObject({
  status: z.literal('reloaded'),
  index: namedVersionSchema.meta({ description: 'The first of them' }),
  indexes: z.array(namedVersionSchema).meta({ description: 'What was reloaded, and is served now' }),
});
export type ReloadBody = z.infer<typeof reloadSchema>;

const bundleStateSchema = z
  .strictObject({
    sha256: z.string().meta({ description: 'Of the bundle that is served' }),
    lastSuccess: z.iso
      .datetime()
      .optional()
      .meta({ description: 'When it was last seen to be the one to serve' }),
    failures: z.int(),
    failure: z
      .strictObject({ code: z.enum(errorCodes), message: z.string() })
      .optional()
      .meta({ description: 'Why another one is not served, while this one goes on' }),
  })
  .meta({ description: 'Of an index that is fetched' });

const readyIndexSchema = namedVersionSchema.extend({
  examples: z.int(),
  sequence: sequenceSchema,
  calibration: calibrationAgeSchema.optional(),
  bundle: bundleStateSchema.optional(),
  replica: z
    .strictObject({
      ready: z.boolean().meta({ description: 'Whether it answers; where not, the database itself is read' }),
      behind: z.int().meta({ description: 'Changes that it has not made yet' }),
      lagSeconds: z.number().meta({ description: 'Since it was last as far as the database; 0 where it is' }),
    })
    .optional()
    .meta({ description: 'Of an index in PostgreSQL that has a read replica' }),
});
const readyEncoderSchema = namedVersionSchema.extend({
  dimension: z.int(),
  runtime: z.enum(runtimeNames).meta({ description: 'What computes the embeddings' }),
});

export const readySchema = z.strictObject({
  status: z.literal('ready'),
  index: readyIndexSchema.meta({ description: 'The default index' }),
  encoder: readyEncoderSchema.meta({ description: 'That of the default index' }),
  indexes: z
    .array(readyIndexSchema.extend({ ready: z.literal(true), encoder: readyEncoderSchema }))
    .meta({ description: 'Every index, the default first' }),
});
export type ReadyBody = z.infer<typeof readySchema>;

export interface QueryBounds {
  /** Examples in the index. */
  readonly examples: number;
  readonly defaultK: number;
  /** The most that a request may ask for, of either. */
  readonly maxK: number;
  readonly maxNeighbours: number;
}

/** @throws NearvoteError `query_invalid` naming the parameter */
export function parseClassifyQuery(query: unknown): ClassifyQuery {
  return parseQuery(classifyQuerySchema, query);
}

/** @throws NearvoteError `k_too_large`, or `query_invalid` naming the parameter, for what the index or the server does not give */
export function checkClassifyQuery(query: ClassifyQuery, bounds: QueryBounds): void {
  const { examples, defaultK, maxK, maxNeighbours } = bounds;
  if (query.k !== undefined && query.k > examples) {
    throw new NearvoteError(
      'k_too_large',
      `Expected k of at most ${examples}, the examples in the index, but received ${query.k}`,
    );
  }
  if (query.k !== undefined && query.k > maxK) {
    throw new NearvoteError('k_too_large', `Expected k of at most ${maxK} but received ${query.k}`);
  }
  if (query.neighbours !== undefined && query.neighbours > maxNeighbours) {
    throw new NearvoteError(
      'query_invalid',
      `Expected neighbours of at most ${maxNeighbours} but received ${query.neighbours}`,
    );
  }
  const k = query.k ?? Math.min(defaultK, examples);
  if (query.neighbours !== undefined && query.neighbours > k) {
    throw new NearvoteError(
      'query_invalid',
      `Expected neighbours of at most k, which is ${k}, but received ${query.neighbours}`,
    );
  }
}

/** The name of the index that a query asks, if any. @throws NearvoteError `query_invalid` where it says anything else */
export function parseIndexQuery(query: unknown): string | undefined {
  return parseQuery(indexQuerySchema, query).index;
}

/** @throws NearvoteError `query_invalid` naming the parameter */
export function parseQuery<T>(schema: ZodType<T>, query: unknown): T {
  const result = schema.safeParse(query);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
    throw new NearvoteError(
      'query_invalid',
      `Expected the query parameter${known.length === 1 ? '' : 's'} ${known.join(', ')} but received ${quoted(issue.keys[0] ?? '')}`,
    );
  }
  const name = String(issue?.path[0] ?? 'query');
  const value = Reflect.get(Object(query) as object, name) as unknown;
  throw new NearvoteError(
    'query_invalid',
    `Query parameter ${name}: ${expectation(issue)} but received ${
      typeof value === 'string' ? quoted(value) : 'several values'
    }`,
  );
}

function expectation(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'invalid_value') return `Expected one of ${issue.values.join(', ')}`;
  if (issue?.code === 'too_small') return 'Expected a name';
  return issue?.code === 'invalid_format' ? issue.message : 'Expected one value';
}
