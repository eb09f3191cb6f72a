import type { ZodType } from 'zod';
import { z } from 'zod';

import { NearvoteError } from '../domain/errors.js';
import { quoted } from './body.js';
import { classifyQuerySchema, type ClassifyQuery } from './schemas.js';

export interface QueryBounds {
  /** Examples in the index. */
  readonly examples: number;
  readonly defaultK: number;
  /** The most that a request may ask for, of either. */
  readonly maxK: number;
  readonly maxNeighbours: number;
}

/** @throws NearvoteError `query_invalid` naming the parameter, `k_too_large` */
export function parseClassifyQuery(query: unknown, bounds: QueryBounds): ClassifyQuery {
  const { examples, defaultK, maxK, maxNeighbours } = bounds;
  const parsed = parseQuery(classifyQuerySchema, query);
  if (parsed.k !== undefined && parsed.k > examples) {
    throw new NearvoteError(
      'k_too_large',
      `Expected k of at most ${examples}, the examples in the index, but received ${parsed.k}`,
    );
  }
  if (parsed.k !== undefined && parsed.k > maxK) {
    throw new NearvoteError('k_too_large', `Expected k of at most ${maxK} but received ${parsed.k}`);
  }
  if (parsed.neighbours !== undefined && parsed.neighbours > maxNeighbours) {
    throw new NearvoteError(
      'query_invalid',
      `Expected neighbours of at most ${maxNeighbours} but received ${parsed.neighbours}`,
    );
  }
  const k = parsed.k ?? Math.min(defaultK, examples);
  if (parsed.neighbours !== undefined && parsed.neighbours > k) {
    throw new NearvoteError(
      'query_invalid',
      `Expected neighbours of at most k, which is ${k}, but received ${parsed.neighbours}`,
    );
  }
  return parsed;
}

/** @throws NearvoteError `query_invalid` where there is any */
export function parseEmptyQuery(query: unknown): void {
  parseQuery(z.strictObject({}), query);
}

function parseQuery<T>(schema: ZodType<T>, query: unknown): T {
  const result = schema.safeParse(query);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
    throw new NearvoteError(
      'query_invalid',
      `Expected ${known.length === 0 ? 'no query' : `the query parameters ${known.join(', ')}`} but received ${quoted(
        issue.keys[0] ?? '',
      )}`,
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
  return issue?.code === 'invalid_format' ? issue.message : 'Expected one value';
}
