import { expect } from 'vitest';

import { problemKinds } from '../../src/server/problems.js';
import { allRoutes } from '../../src/server/routes.js';
import {
  decisionSchema,
  decisionsSchema,
  embeddingSchema,
  embeddingsSchema,
  problemSchema,
} from '../../src/server/schemas.js';
import type { FuzzRequest } from './request.js';
import type { Outcome, RawAnswer } from './send-bytes.js';

/** Paths of a machine, and lines of a stack. */
const secrets = /\/(home|root|tmp|usr|node_modules)\/|node:internal|\n\s+at |:\d+:\d+\)/;

const bodySchemas = {
  '/classify': [decisionSchema, decisionsSchema],
  '/embed': [embeddingSchema, embeddingsSchema],
} as const;

/**
 * Holds an outcome to the contract and names it: `200`, the code of a problem, or how the connection ended.
 * @throws where the contract is broken
 */
export function judge(request: FuzzRequest, outcome: Outcome): string {
  if (outcome.kind !== 'answered') {
    if (outcome.kind === 'closed' && request.whole !== 'yes') return 'closed with a broken request';
    throw new Error(`Expected an answer but the connection was ${outcome.kind} after "${outcome.received}"`);
  }
  const { answer } = outcome;
  if (request.method === 'HEAD' || answer.status === 204) {
    expect([200, 204, 302, 400, 404, 405, 421]).toContain(answer.status);
    return `${answer.status} without a body`;
  }
  const path = pathOf(request.target);
  if (answer.status === 200 && (path === '/classify' || path === '/embed')) {
    return judgeResults(answer, bodySchemas[path]);
  }
  if (answer.status < 400) {
    expect([200, 302]).toContain(answer.status);
    return `${answer.status} of a page`;
  }
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  const code = judgeProblem(JSON.parse(answer.body), answer.status);
  const documented = allRoutes.find((route) => route.path === path)?.codes ?? [];
  expect([...documented, ...anywhere, ...(request.whole === 'yes' ? [] : ['client_gone'])]).toContain(code);
  return code;
}

/** The path that is routed: without a query, an origin, or needless escapes. */
function pathOf(target: string): string {
  const path = target.replace(/^http:\/\/fuzz/, '').split('?', 1)[0] ?? '';
  return path.replaceAll('%63', 'c');
}

/** What any path may be answered with. */
const anywhere = ['not_found', 'method_not_allowed', 'request_malformed', 'host_not_allowed'];

/** One image's answer, or results of which some may be an error of their own image. */
function judgeResults(
  { body, headers }: RawAnswer,
  [one, many]: (typeof bodySchemas)[keyof typeof bodySchemas],
): string {
  expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
  const value: unknown = JSON.parse(body);
  if (one.safeParse(value).success) return '200';
  const { results } = many.parse(value);
  for (const result of results) if ('error' in result) judgeProblem(result.error, result.error.status);
  return '200 with results';
}

/** One request at a time comes here: nothing but the request itself may be at fault. */
function judgeProblem(value: unknown, status: number): string {
  const problem = problemSchema.parse(value);
  expect(problem.status).toBe(status);
  expect(problem.status).toBe(problemKinds[problem.code].status);
  expect(problem.status).toBeGreaterThanOrEqual(400);
  expect(problem.status).toBeLessThan(500);
  expect(problem.code).not.toBe('overloaded');
  expect(problemKinds[problem.code].detail).toBe('shown');
  expect(problem.detail).toMatch(/^(Expected|Query parameter) /);
  expect(problem.detail).not.toMatch(secrets);
  return problem.code;
}
