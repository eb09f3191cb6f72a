import { describe, expect, it } from 'vitest';

import { errorCodes, NearvoteError } from '../../src/domain/errors.js';
import { createContract } from '../../src/server/openapi.js';
import { clientVisibleCodes, problemKinds, toProblem } from '../../src/server/problems.js';
import { allRoutes } from '../../src/server/routes.js';
import { problemSchema } from '../../src/server/schemas.js';
import { startTestServer, testLimits, testLoad } from './test-server.js';

describe('the table of problems', () => {
  it('has a status of an error and a title for every code', () => {
    expect(Object.keys(problemKinds).sort()).toEqual([...errorCodes].sort());
    for (const { status, title } of Object.values(problemKinds)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(600);
      expect(title).toMatch(/^[A-Z].*[^.]$/);
    }
  });

  it('agrees with the routes: each code that a client may see is stated by one, and no other', () => {
    // Any request can be answered with the first three; nobody is there to read the fourth.
    const everywhere = ['not_found', 'method_not_allowed', 'host_not_allowed', 'client_gone'];
    const stated = new Set([...allRoutes.flatMap((route) => route.codes), ...everywhere]);
    expect([...stated].sort()).toEqual([...clientVisibleCodes].sort());
  });

  it('agrees with the OpenAPI document: the status of every code of a route has a response that names it', () => {
    const contract = createContract({ version: '1.2.3', limits: testLimits, ...testLoad });
    for (const { path, methods, codes } of allRoutes) {
      const item = contract.paths?.[path.replace(/:(\w+)/g, '{$1}')];
      const [method = 'get'] = methods.map((one) => one.toLowerCase() as 'get' | 'post' | 'patch' | 'delete');
      const responses = item?.[method]?.responses ?? {};
      for (const code of codes) {
        const response: unknown = responses[String(problemKinds[code].status)];
        expect(JSON.stringify(response)).toContain(`\`${code}\``);
      }
    }
  });

  it('agrees with the documentation page: each type leads to a row of that code', async () => {
    const server = await startTestServer();
    try {
      const { text } = await server.ask('/docs');
      for (const code of clientVisibleCodes) {
        expect(toProblem(new NearvoteError(code, 'x'), 'id').type).toBe(`/docs#${code}`);
        expect(text).toContain(
          `<tr id="${code}"><td><code>${code}</code></td><td>${problemKinds[code].status}</td>`,
        );
      }
    } finally {
      await server.close();
    }
  });
});

describe('a problem document', () => {
  it('carries the message of what the client did', () => {
    const problem = toProblem(
      new NearvoteError('image_empty', 'Expected an image but received 0 bytes'),
      'id-1',
    );
    expect(problemSchema.parse(problem)).toEqual({
      type: '/docs#image_empty',
      title: 'The image is empty',
      status: 400,
      detail: 'Expected an image but received 0 bytes',
      code: 'image_empty',
      instance: 'id-1',
    });
  });

  it('hides the message of what only the operator should read', () => {
    for (const error of [
      new Error('cannot read /home/me/secret'),
      new NearvoteError('index_invalid', 'index/cifar10/current is bad'),
      'thrown text',
      undefined,
    ]) {
      const problem = problemSchema.parse(toProblem(error, 'id-2'));
      expect(problem.status).toBe(500);
      expect(problem).not.toHaveProperty('detail');
    }
  });
});
