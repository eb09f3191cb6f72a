import { z } from 'zod';
import { errorCodes, NearvoteError, type ErrorCode } from '../domain/errors.js';
import type { Answer } from './answers.js';

/* What a server says, as far as it is used: it may say more. */

const namedVersionSchema = z.looseObject({ name: z.string(), version: z.string() });
const indexVersionSchema = namedVersionSchema.extend({
  /** Of its last change; servers of before have none. */
  sequence: z.int().default(0),
});
/** What `/readyz` says: the default index, and every one where there are several. */
export const readySchema = z.looseObject({
  status: z.literal('ready'),
  index: namedVersionSchema,
  encoder: namedVersionSchema,
  indexes: z.array(namedVersionSchema.extend({ encoder: namedVersionSchema })).optional(),
});
export type Ready = z.infer<typeof readySchema>;

const decisionSchema = z.looseObject({
  id: z.string(),
  label: z.string(),
  confidence: z.number(),
  pValue: z.number().optional(),
  outcome: z.enum(['known', 'unknown']),
  calibrated: z.boolean(),
  scores: z.array(z.looseObject({ label: z.string(), score: z.number() })),
  neighbours: z.array(
    z.looseObject({
      id: z.string(),
      label: z.string(),
      similarity: z.number(),
      source: z.string().optional(),
    }),
  ),
  index: indexVersionSchema,
  encoder: namedVersionSchema,
});
const failureSchema = z.looseObject({
  error: z.looseObject({
    status: z.int(),
    code: z.string(),
    detail: z.string().optional(),
    title: z.string().optional(),
  }),
});
const resultsSchema = z.looseObject({ results: z.array(z.union([failureSchema, decisionSchema])) });

/** An image on its way to a server. */
export interface ReadImage {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface ImageAnswer {
  readonly answer: Answer;
  /** Whether the image may be answered otherwise when it is sent again. */
  readonly mayPass: boolean;
}

/**
 * The answers to a request of several images, in their order.
 * @throws NearvoteError `server_refused` where they are not those of the images
 */
export function answersOf(
  body: unknown,
  images: readonly ReadImage[],
  { url }: { readonly url: string },
): readonly ImageAnswer[] {
  const { data } = resultsSchema.safeParse(body);
  if (data?.results.length !== images.length) {
    throw new NearvoteError(
      'server_refused',
      `Expected from ${url} a decision for each image but received something else`,
    );
  }
  return images.flatMap((image, i) => {
    const failure = failureSchema.safeParse(data.results[i]).data;
    const decision = decisionSchema.safeParse(data.results[i]).data;
    if (decision !== undefined) return { answer: { file: image.path, decision }, mayPass: false };
    if (failure === undefined) return [];
    const { status, code, detail, title = code } = failure.error;
    const known = errorCodes.find((one) => one === code) ?? 'server_refused';
    return { answer: failed(image, known, detail ?? title), mayPass: status === 429 || status === 503 };
  });
}

export function failed({ path }: ReadImage, code: ErrorCode, message: string): Answer {
  return { file: path, error: { code, message } };
}
