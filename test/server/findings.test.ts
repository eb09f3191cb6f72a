import { describe, expect, it } from 'vitest';
import {
  changesSchema,
  examplesSchema,
  labelsSchema,
  operationSchema,
} from '../../src/server/example-schemas.js';
import { appliedSchema } from '../../src/server/finding-schemas.js';
import { ask, json, startTaught, useTaughtServer } from './taught-server.js';

useTaughtServer();

describe('applying what an audit found', () => {
  const wrong = {
    ...{ kind: 'mislabelled', ids: ['built-0'], labels: ['red'], suggested: 'crimson', probability: 0.9 },
    ...{ score: 3, sources: ['0.png'], suggestion: 'look at it' },
  };
  const copies = {
    kind: 'duplicates',
    ids: ['built-2', 'built-3'],
    labels: ['blue', 'blue'],
    confirmed: true,
  };

  it('is one change with a reason each, which is taken back as one', async () => {
    await startTaught();
    const listed = async (): Promise<unknown> => (await ask('/examples')).body;
    const before = examplesSchema.parse(await listed()).examples;
    const overlap = { kind: 'overlap', labels: ['red', 'blue'] };
    const { body } = await ask('/findings', json('POST', { findings: [overlap, copies, wrong], who: 'Ada' }));
    expect(appliedSchema.parse(body)).toMatchObject({
      ...{ sequence: 2, operation: 1, relabelled: 1, deleted: 1, labelsGone: [] },
      results: [
        { because: 'person' },
        { outcome: 'applied', deleted: 1 },
        { outcome: 'applied', relabelled: 1 },
      ],
    });
    const { changes } = changesSchema.parse((await ask('/changes')).body);
    expect(changes.map(({ operation, id, reason, who }) => [operation, id, reason, who])).toEqual([
      [1, 'built-0', 'audit: mislabelled, 0.90 crimson rather than red', 'Ada'],
      [1, 'built-3', 'audit: duplicates, it is the same picture as built-2', 'Ada'],
    ]);
    const reverted = await ask('/changes/1/revert', { method: 'POST' });
    expect(operationSchema.parse(reverted.body)).toMatchObject({ sequence: 4, changed: 2 });
    expect(examplesSchema.parse(await listed()).examples).toEqual(before);
  });

  it('takes one alone, leaves what has changed since, and says what it would do', async () => {
    await startTaught();
    expect((await ask('/findings?dryRun=true', json('POST', wrong))).body).toMatchObject({
      ...{ sequence: 0, operation: null, relabelled: 1 },
    });
    expect((await ask('/findings', json('POST', wrong))).body).toMatchObject({ sequence: 1, relabelled: 1 });
    expect((await ask('/findings', json('POST', wrong))).body).toMatchObject({
      ...{ sequence: 1, operation: null, results: [{ outcome: 'left', because: 'changed' }] },
    });
    const unsure = { ...copies, confirmed: false };
    const results = async (query: string): Promise<unknown> =>
      appliedSchema.parse((await ask(`/findings?dryRun=true&${query}`, json('POST', unsure))).body).results;
    expect(await results('unconfirmed=false')).toMatchObject([{ because: 'unconfirmed' }]);
    expect(await results('unconfirmed=true')).toMatchObject([{ outcome: 'applied' }]);
    expect(await results('kind=leak')).toMatchObject([{ because: 'kind' }]);
    const doubtful = { ...wrong, ids: ['built-1'], probability: 0.8 };
    const asked = await ask('/findings?minProbability=0.9', json('POST', doubtful));
    expect(asked.body).toMatchObject({ sequence: 1, results: [{ because: 'probability' }] });
  });

  it('says of which labels nothing is left', async () => {
    await startTaught();
    const leak = { ...copies, kind: 'leak', test: { id: 't.png' } };
    expect((await ask('/findings', json('POST', leak))).body).toMatchObject({
      deleted: 2,
      labelsGone: ['blue'],
    });
  });

  it.each([
    ['nothing', json('POST', {}), 'request_malformed', 400],
    ['no findings', json('POST', { findings: [] }), 'request_malformed', 400],
    ['a list, which is no object', json('POST', [wrong]), 'request_malformed', 400],
    [
      'one among them that is none',
      json('POST', { findings: [wrong, { kind: 'x' }] }),
      'request_malformed',
      400,
    ],
    ['a label too few', json('POST', { ...copies, labels: ['blue'] }), 'request_malformed', 400],
    [
      'lines',
      { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } },
      'media_type_unsupported',
      415,
    ],
    ['too much', json('POST', { ...wrong, suggestion: 'x'.repeat(1_100_000) }), 'body_too_large', 413],
  ] as const)('refuses %s, and nothing is changed', async (_what, init, code, status) => {
    await startTaught();
    const answer = await ask('/findings', init);
    expect([answer.status, answer.body]).toMatchObject([status, { code }]);
    expect(labelsSchema.parse((await ask('/labels')).body).sequence).toBe(0);
  });

  it('refuses a query that is none, and a server that may not change the index', async () => {
    await startTaught({ readonly: 'another process writes' });
    for (const query of ['kind=x', 'minProbability=2', 'dryRun=yes', 'x=1'])
      expect((await ask(`/findings?${query}`, json('POST', wrong))).body).toMatchObject({
        code: 'query_invalid',
      });
    expect((await ask('/findings', json('POST', wrong))).body).toMatchObject({ code: 'index_readonly' });
    expect((await ask('/findings?dryRun=true', json('POST', wrong))).body).toMatchObject({ relabelled: 1 });
  });
});
