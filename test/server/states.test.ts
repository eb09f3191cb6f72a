import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { readPublished } from '../../src/examples/index-store.js';
import { changedSchema, versionsSchema } from '../../src/server/example-schemas.js';
import { differencesSchema, verificationSchema } from '../../src/server/state-schemas.js';
import { ask, green, json, lime, rootOfIndex, startTaught, useTaughtServer, teach } from './taught-server.js';

useTaughtServer();

describe('two states of an index', () => {
  it('are told apart example by example, as far as they are to be named, whatever is folded', async () => {
    await startTaught({ exposeSources: false });
    const taught = [await teach('moss', green), await teach('moss', lime)];
    const [first = '', second = ''] = taught.map(({ body }) => changedSchema.parse(body).id);
    await ask(`/examples/${first}`, json('PATCH', { label: 'grass' }));
    await ask('/examples/built-3', { method: 'DELETE' });
    await ask('/versions', { method: 'POST' });
    const look = async (query: string): Promise<z.infer<typeof differencesSchema>> =>
      differencesSchema.parse((await ask(`/differences?${query}`)).body);
    expect(await look('from=0&to=4')).toMatchObject({
      counts: { added: 2, deleted: 1, relabelled: 0 },
      added: [
        { id: first, label: 'grass' },
        { id: second, label: 'moss' },
      ],
      deleted: [{ id: 'built-3', label: 'blue' }],
    });
    expect(await look('from=4&to=2&limit=1')).toMatchObject({
      ...{ counts: { added: 1, deleted: 0, relabelled: 1 }, from: { sequence: 4 } },
      relabelled: [{ id: first, was: 'grass', label: 'moss' }],
    });
    const { current } = versionsSchema.parse((await ask('/versions')).body);
    expect((await look(`from=${current}&to=4`)).counts).toEqual({ added: 0, deleted: 0, relabelled: 0 });
    for (const [query, status, code] of [
      ['from=0&to=99', 404, 'change_missing'],
      ['from=0&to=nonsense', 400, 'query_invalid'],
      ['from=0', 400, 'query_invalid'],
      ['from=0&to=1&limit=0', 400, 'query_invalid'],
    ] as const) {
      expect(await ask(`/differences?${query}`)).toMatchObject({ status, body: { code } });
    }
  });
});

describe('checking an index that is served', () => {
  it('says that all is whole, and what is not, while it serves', async () => {
    await startTaught();
    await teach('moss');
    const check = async (): Promise<z.infer<typeof verificationSchema>> =>
      verificationSchema.parse((await ask('/verification', { method: 'POST' })).body);
    expect(await check()).toMatchObject({ versions: 1, changes: 1, repaired: [], defects: [] });
    const { dir } = await readPublished(rootOfIndex());
    await appendFile(join(dir, 'rejects.jsonl'), 'x');
    const [one, other] = await Promise.all([check(), check()]);
    expect(one.defects).toEqual([expect.stringContaining('rejects.jsonl')]);
    expect(other).toEqual(one);
    expect((await ask('/examples')).status).toBe(200);
  });
});
