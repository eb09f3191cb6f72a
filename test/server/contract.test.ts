import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { createContract } from '../../src/server/openapi.js';
import { testLimits, testLoad } from './test-server.js';

const contract = createContract({ version: '1.2.3', limits: testLimits, ...testLoad });
const redocly = fileURLToPath(new URL('../../node_modules/@redocly/cli/bin/cli.js', import.meta.url));

interface Schema {
  readonly type?: string;
  readonly properties?: Record<string, Schema>;
  readonly [keyword: string]: unknown;
}

function schemaOf(path: string, mediaType: string): Schema {
  const body = contract.paths?.[path]?.post?.requestBody;
  if (body === undefined || '$ref' in body) throw new Error('Expected a body');
  return body.content[mediaType]?.schema as Schema;
}

describe('the OpenAPI document', () => {
  it('names each operation, its server, and the keys that open it', () => {
    const operations = Object.values(contract.paths ?? {}).flatMap(({ get, post }) => [get, post]);
    const ids = operations.flatMap((one) => (one === undefined ? [] : [one.operationId]));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain('classify');
    expect(contract.servers).toMatchObject([{ url: '/' }]);
    expect(contract.components?.securitySchemes).toMatchObject({
      bearer: { type: 'http', scheme: 'bearer' },
      header: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
    });
    expect(contract.paths?.['/admin/reload']?.post).toMatchObject({
      security: [{ bearer: [] }, { header: [] }],
      responses: { 200: {}, 401: {}, 404: {}, 405: {}, 409: {}, 429: {}, 503: {} },
    });
    // A server may be open to anybody.
    expect(contract.paths?.['/classify']?.post?.security).toEqual([{}, { bearer: [] }, { header: [] }]);
  });

  it('states the limits that the server keeps', () => {
    expect(contract.paths?.['/classify']?.post?.parameters).toMatchObject([
      { name: 'k', schema: { minimum: 1, maximum: testLoad.maxK } },
      { name: 'vote' },
      { name: 'neighbours', schema: { minimum: 0, maximum: testLoad.maxNeighbours } },
      { name: 'index', schema: { type: 'string', minLength: 1 } },
      { name: 'atLeast', schema: { type: 'integer', minimum: 0 } },
    ]);
    const ofIndex = (what: string): object => ({
      ...{ name: 'index', in: 'query', required: false },
      description: expect.stringContaining(what) as string,
    });
    expect(contract.paths?.['/embed']?.post?.parameters).toMatchObject([ofIndex('the first unless told')]);
    expect(contract.paths?.['/admin/reload']?.post?.parameters).toMatchObject([ofIndex('all unless told')]);
    expect(schemaOf('/classify', 'multipart/form-data')).toMatchObject({
      properties: {
        image: { minLength: 1, maxLength: testLimits.maxImageBytes },
        images: { minItems: 1, maxItems: testLimits.maxImages },
      },
    });
    expect(schemaOf('/embed', 'image/*')).toMatchObject({ minLength: 1 });
    // Four letters of base64 for three bytes.
    expect(schemaOf('/embed', 'application/json')).toMatchObject({
      properties: {
        image: { maxLength: (Math.floor(testLimits.maxImageBytes / 3) + 1) * 4 },
        images: { maxItems: testLimits.maxImages },
      },
    });
  });

  it('has file fields as properties of one object, and no format that 3.1 does not know', () => {
    for (const path of ['/classify', '/embed']) {
      const form = schemaOf(path, 'multipart/form-data');
      expect(form).not.toHaveProperty('oneOf');
      expect(form.properties?.['image']).toMatchObject({
        type: 'string',
        contentMediaType: 'application/octet-stream',
      });
      expect(form.properties?.['images']).toMatchObject({
        items: { type: 'string', contentMediaType: 'application/octet-stream' },
      });
    }
    expect(JSON.stringify(contract)).not.toMatch(/"format":"(byte|binary)"/);
    expect(schemaOf('/classify', 'application/json').properties?.['image']).toMatchObject({
      contentEncoding: 'base64',
    });
  });

  it.skipIf(!existsSync(redocly))("keeps redocly's recommended rules, warnings too", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nearvote-contract-'));
    const file = join(folder, 'openapi.json');
    await writeFile(file, JSON.stringify(contract));
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
    const args = [redocly, 'lint', file, '--extends', 'recommended', '--format', 'json'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, cwd: folder }).catch(
      (error: unknown) => error as { stdout: string },
    );
    const { problems } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { problems: unknown[] };
    expect(problems).toEqual([]);
    await rm(folder, { recursive: true });
  });
});
