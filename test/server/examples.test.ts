import { describe, expect, it } from 'vitest';
import { NearvoteError } from '../../src/domain/errors.js';
import {
  addedSchema,
  changedSchema,
  changesSchema,
  editedSchema,
  compactedSchema,
  exampleHistorySchema,
  examplesSchema,
  labelsSchema,
  operationSchema,
  versionsSchema,
} from '../../src/server/example-schemas.js';
import { decisionSchema } from '../../src/server/schemas.js';
import { drawColour } from './colour-classifier.js';
import {
  adminKey,
  ask,
  form,
  green,
  json,
  labelOf,
  lime,
  startTaught,
  useTaughtServer,
  teach,
} from './taught-server.js';
import { testLoad, type Answer } from './test-server.js';

useTaughtServer();

const apiKey = 'a-key-for-who-classifies';

describe('teaching by POST /examples', () => {
  it('is used by the next request, and named by its answer', async () => {
    await startTaught();
    expect(await labelOf(lime)).toBe('red');
    const { body, status } = await teach('green');
    expect(status).toBe(200);
    const changed = changedSchema.parse(body);
    expect(changed).toMatchObject({ sequence: 1, outcome: 'added', label: 'green' });
    const decision = decisionSchema.parse((await ask('/classify?k=1', form({}, ['x.png', lime]))).body);
    expect(decision).toMatchObject({
      label: 'green',
      index: { sequence: 1 },
      neighbours: [{ id: changed.id }],
    });
  });

  it('again changes nothing, and another label for the image is a conflict', async () => {
    await startTaught();
    const { id } = changedSchema.parse((await teach('green')).body);
    expect((await teach('green')).body).toEqual({ sequence: 1, outcome: 'unchanged', id, label: 'green' });
    const conflict = await teach('lime');
    expect([conflict.status, conflict.body]).toMatchObject([409, { code: 'example_conflict' }]);
    expect((await teach('lime', lime, { id })).status).toBe(409);
  });

  it('of several images adds those that are good and says what is wrong with the others', async () => {
    await startTaught();
    const { body } = await ask(
      '/examples',
      form({ label: 'green' }, ['a.png', green], ['b.png', Buffer.from('no image')], ['c.png', lime]),
    );
    const { results, sequence } = addedSchema.parse(body);
    expect(sequence).toBe(2);
    expect(results).toMatchObject([
      { file: 'a.png', outcome: 'added' },
      { file: 'b.png', error: { code: 'image_unsupported' } },
      { file: 'c.png', outcome: 'added' },
    ]);
  });

  it('names the file of an example in the log where the server shows sources', async () => {
    await startTaught({ exposeSources: true });
    const { id } = changedSchema.parse((await teach('green')).body);
    await ask(`/examples/${id}`, json('PATCH', { label: 'moss' }));
    const sourcesOf = async (path: string) =>
      changesSchema
        .pick({ changes: true })
        .parse({ changes: ((await ask(path)).body as { changes: unknown }).changes })
        .changes.map(({ source }) => source);
    for (const path of ['/changes', `/examples/${id}`]) {
      expect(await sourcesOf(path)).toEqual([undefined, 'a photo.png']);
    }
  });

  it('takes JSON of one and of many, each with a label of its own', async () => {
    await startTaught();
    const one = { image: green.toString('base64'), label: 'green', id: 'mine', reason: 'why', who: 'me' };
    expect((await ask('/examples', json('POST', one))).body).toMatchObject({ outcome: 'added', id: 'mine' });
    const many = {
      examples: [one, { image: lime.toString('base64'), label: 'lime' }].map(({ image, label }) => ({
        image,
        label,
      })),
    };
    const { results } = addedSchema.parse((await ask('/examples', json('POST', many))).body);
    expect(results).toMatchObject([
      { outcome: 'unchanged', id: 'mine' },
      { outcome: 'added', label: 'lime' },
    ]);
    const [change] = changesSchema.parse((await ask('/changes?before=2')).body).changes;
    expect(change).not.toHaveProperty('source');
    expect(change).toMatchObject({ reason: 'why', who: 'me', kind: 'add' });
    // As /classify takes several.
    const images = { images: [green.toString('base64')], label: 'green' };
    expect((await ask('/examples', json('POST', images))).body).toMatchObject({
      code: 'request_malformed',
      detail: expect.stringContaining('or {"examples": [{"image", "label"}]}') as string,
    });
  });

  it.each([
    ['no label', form({}, ['a.png', green]), 'label_invalid', 400],
    [
      'a label of 10,000 letters',
      form({ label: 'x'.repeat(10_000) }, ['a.png', green]),
      'request_malformed',
      400,
    ],
    ['a label of 300 letters', form({ label: 'x'.repeat(300) }, ['a.png', green]), 'label_invalid', 400],
    ['a label with a line break', form({ label: 'a\nb' }, ['a.png', green]), 'label_invalid', 400],
    ['an id with a slash', form({ label: 'a', id: '../a' }, ['a.png', green]), 'id_invalid', 400],
    [
      'an id for several',
      form({ label: 'a', id: 'a' }, ['a.png', green], ['b.png', lime]),
      'field_unexpected',
      400,
    ],
    ['an unknown field', form({ label: 'a', colour: 'b' }, ['a.png', green]), 'field_unexpected', 400],
    ['no image', form({ label: 'a' }), 'image_missing', 400],
    ['no image at all', form({ label: 'a' }, ['a.png', Buffer.from('no image')]), 'image_unsupported', 415],
    ['base64 that is none', json('POST', { image: '****', label: 'a' }), 'request_malformed', 400],
    ['no examples', json('POST', { examples: [] }), 'request_malformed', 400],
    [
      'another type',
      { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } },
      'media_type_unsupported',
      415,
    ],
    [
      'too many',
      json('POST', {
        examples: Array.from({ length: 5 }, () => ({ image: green.toString('base64'), label: 'a' })),
      }),
      'too_many_images',
      413,
    ],
  ] as const)('refuses %s, and nothing is changed', async (_what, init, code, status) => {
    await startTaught();
    const answer = await ask('/examples', init);
    expect([answer.status, answer.body]).toMatchObject([status, { code }]);
    expect(labelsSchema.parse((await ask('/labels')).body).sequence).toBe(0);
  });
});

describe('a slip of the pen', () => {
  it('in a label is told with what may have been meant, and a label that is there is not', async () => {
    await startTaught();
    expect((await teach('bleu')).body).toMatchObject({ newLabel: true, similarLabels: ['blue'] });
    expect((await teach('RED', lime)).body).toMatchObject({ newLabel: true, similarLabels: ['red'] });
    const { body } = await ask('/examples/built-0', json('PATCH', { label: 'bleu' }));
    expect(changedSchema.parse(body)).not.toHaveProperty('newLabel');
    const aside = changedSchema.parse((await ask('/examples/built-1', json('PATCH', { label: 'owl' }))).body);
    expect([aside.newLabel, aside.similarLabels]).toEqual([true, undefined]);
  });

  it('in the type of a body, or the body itself, is answered with what would be right', async () => {
    await startTaught();
    const untyped = (method: string, body: string): RequestInit => ({
      ...{ method, body },
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    const cases = [
      ['/examples/built-0', untyped('PATCH', '{"label": "x"}'), 415, '{"label": "hare"}'],
      ['/examples/built-0', json('PATCH', { to: 'x' }), 400, '{"label": "hare"}'],
      ['/examples/built-0', { method: 'PATCH' }, 400, '{"label": "hare"}'],
      ['/labels/red', untyped('POST', '{"to": "x"}'), 415, '{"to": "hare"}'],
      ['/labels/red', json('POST', { label: 'x' }), 400, '{"to": "hare"}'],
      ['/changes', json('POST', {}), 400, '{"acts": [{"kind": "delete", "id": "ID"}]}'],
    ] as const;
    for (const [path, init, status, example] of cases) {
      const answer = await ask(path, init);
      expect([answer.status, answer.body]).toMatchObject([
        status,
        { detail: expect.stringContaining(`such as ${example}`) as string },
      ]);
    }
  });
});

describe('correcting', () => {
  it('relabels, deletes, renames and takes back, each by its own request', async () => {
    await startTaught();
    const { id } = changedSchema.parse((await teach('gren')).body);
    const relabel = (label: string): Promise<Answer> => ask(`/examples/${id}`, json('PATCH', { label }));
    expect((await relabel('green')).body).toMatchObject({
      sequence: 2,
      outcome: 'relabelled',
      label: 'green',
    });
    expect(await labelOf(green)).toBe('green');
    expect((await ask(`/examples/${id}`, { method: 'DELETE' })).body).toMatchObject({
      sequence: 3,
      outcome: 'deleted',
    });
    expect(await labelOf(green)).not.toBe('green');
    const again = await ask(`/examples/${id}`, { method: 'DELETE' });
    expect([again.status, again.body]).toMatchObject([404, { code: 'example_missing' }]);
    const gone = (await ask(`/examples/${id}`)).body;
    expect(gone).toMatchObject({ detail: expect.stringContaining('was deleted by change 3') as string });
    const revert = (sequence: number): Promise<Answer> =>
      ask(`/changes/${sequence}/revert`, { method: 'POST' });
    expect(operationSchema.parse((await revert(3)).body)).toEqual({ sequence: 4, operation: 4, changed: 1 });
    expect(await labelOf(green)).toBe('green');
    expect((await revert(3)).status).toBe(409);
    expect((await revert(99)).status).toBe(404);
    const renamed = await ask('/labels/red', json('POST', { to: 'rouge', reason: 'French' }));
    expect(operationSchema.parse(renamed.body)).toEqual({ sequence: 6, operation: 5, changed: 2 });
    expect((await ask('/labels/red', json('POST', { to: 'x' }))).status).toBe(404);
    const { labels } = labelsSchema.parse((await ask('/labels')).body);
    expect(labels).toEqual([
      { label: 'blue', examples: 2 },
      { label: 'green', examples: 1 },
      { label: 'rouge', examples: 2 },
    ]);
    const history = exampleHistorySchema.parse((await ask(`/examples/${id}`)).body);
    expect(history.changes.map(({ kind }) => kind)).toEqual(['restore', 'delete', 'relabel', 'add']);
  });

  it('changes several examples as one, or none of them', async () => {
    await startTaught();
    const acts = [
      { kind: 'relabel', id: 'built-0', label: 'rouge' },
      { kind: 'delete', id: 'built-1' },
    ];
    const { body } = await ask('/changes', json('POST', { acts, reason: 'two at once' }));
    expect(editedSchema.parse(body)).toEqual({
      ...{ sequence: 2, operation: 1 },
      outcomes: [
        { outcome: 'relabelled', id: 'built-0', label: 'rouge', newLabel: true },
        { outcome: 'deleted', id: 'built-1', label: 'red' },
      ],
    });
    const half = [{ kind: 'delete', id: 'built-0' }, acts[1]];
    expect((await ask('/changes', json('POST', { acts: half }))).status).toBe(404);
    for (const wrong of [{ acts: [] }, { acts: [{ kind: 'add', id: 'a' }] }, {}]) {
      expect((await ask('/changes', json('POST', wrong))).status).toBe(400);
    }
    const { changes } = changesSchema.parse((await ask('/changes?id=built-1')).body);
    expect(changes).toMatchObject([{ sequence: 2, operation: 1, id: 'built-1', reason: 'two at once' }]);
    expect(operationSchema.parse((await ask('/changes/2/revert', { method: 'POST' })).body).changed).toBe(2);
  });

  it('takes back as one what was taught in requests that go on with each other', async () => {
    await startTaught();
    const two = (fields: Readonly<Record<string, string>>, ...images: readonly Buffer[]): RequestInit => {
      const body = new FormData();
      for (const [name, value] of Object.entries(fields)) body.append(name, value);
      for (const image of images) body.append('images', new Blob([Uint8Array.from(image)]), 'x.png');
      return { method: 'POST', body };
    };
    const first = addedSchema.parse((await ask('/examples', two({ label: 'green' }, green))).body);
    expect(first).toMatchObject({ sequence: 1, operation: 1 });
    const next = { label: 'lime', continues: '1' };
    expect(addedSchema.parse((await ask('/examples', two(next, lime))).body)).toMatchObject({
      ...{ sequence: 2, operation: 1 },
    });
    expect((await ask('/examples', two(next, lime))).body).toMatchObject({ sequence: 2, operation: null });
    expect((await ask('/examples', two({ ...next, continues: 'x' }, lime))).status).toBe(400);
    expect(operationSchema.parse((await ask('/changes/1/revert', { method: 'POST' })).body).changed).toBe(2);
  });

  it('renames a label with a slash, a space and an emoji', async () => {
    await startTaught();
    const label = 'a/b 🐈';
    await teach(label);
    const answer = await ask(`/labels/${encodeURIComponent(label)}`, json('POST', { to: 'cat' }));
    expect(answer.body).toMatchObject({ changed: 1 });
  });

  it('refuses a body that is something else', async () => {
    await startTaught();
    for (const init of [json('PATCH', {}), json('PATCH', { label: 1 }), json('PATCH', [])]) {
      expect((await ask('/examples/built-0', init)).body).toMatchObject({ code: 'request_malformed' });
    }
    const text = { method: 'PATCH', body: 'x', headers: { 'content-type': 'text/plain' } };
    expect((await ask('/examples/built-0', text)).status).toBe(415);
    const large = json('PATCH', { label: 'a', reason: 'x'.repeat(100_000) });
    expect((await ask('/examples/built-0', large)).status).toBe(413);
  });
});

describe('looking', () => {
  it('lists examples page after page, and shows the picture that was sent', async () => {
    const { url } = await startTaught();
    const { id } = changedSchema.parse((await teach('green')).body);
    const first = examplesSchema.parse((await ask('/examples?limit=3')).body);
    expect(first.examples).toEqual([
      { id: 'built-0', label: 'red' },
      { id: 'built-1', label: 'red' },
      { id: 'built-2', label: 'blue' },
    ]);
    const rest = examplesSchema.parse((await ask(`/examples?limit=3&after=${first.next ?? ''}`)).body);
    expect([rest.examples.map((one) => one.id), rest.next]).toEqual([['built-3', id], null]);
    const found = examplesSchema.parse((await ask('/examples?text=PHOTO&label=green')).body);
    expect(found.examples).toEqual([{ id, label: 'green' }]);
    const picture = await fetch(`${url}/examples/${id}/picture`, { headers: { 'x-api-key': adminKey } });
    expect(picture.headers.get('content-type')).toBe('image/png');
    expect(Buffer.from(await picture.arrayBuffer()).equals(green)).toBe(true);
    expect((await ask('/examples/built-0/picture')).status).toBe(404);
    expect((await ask('/examples/nobody')).status).toBe(404);
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'after=nobody', 'order=1']) {
      expect([400, 404]).toContain((await ask(`/examples?${query}`)).status);
    }
  });

  it('folds the changes into a version without a request noticing', async () => {
    await startTaught();
    await teach('green');
    expect(versionsSchema.parse((await ask('/versions')).body)).toMatchObject({
      sequence: 1,
      changed: 1,
      writable: true,
      ...{ name: 'colours', changesSince: 1, examples: 5, dimension: 3, dataset: 'drawn' },
      labels: expect.arrayContaining([{ label: 'green', examples: 1 }]) as object,
      versions: [{ sequence: 0, examples: 4 }],
    });
    const before = decisionSchema.parse((await ask('/classify?k=3', form({}, ['x.png', lime]))).body);
    const compacted = compactedSchema.parse((await ask('/versions', { method: 'POST' })).body);
    expect(compacted).toMatchObject({ changed: true, sequence: 1, examples: 5 });
    const after = decisionSchema.parse((await ask('/classify?k=3', form({}, ['x.png', lime]))).body);
    expect(after).toMatchObject({ scores: before.scores, neighbours: before.neighbours });
    expect(after.index).toEqual({ name: 'colours', version: compacted.version, sequence: 1 });
    expect((await teach('lime', lime)).body).toMatchObject({ sequence: 2, outcome: 'added' });
    expect((await ask('/versions', { method: 'POST' })).body).toMatchObject({ changed: true, sequence: 2 });
    expect((await ask('/versions', { method: 'POST' })).body).toMatchObject({ changed: false });
  });

  it('is answered when a version takes longer than a client may take to read', async () => {
    const writeTimeout = 1_000;
    await startTaught({
      load: { ...testLoad, writeTimeout },
      beforeCompacting: async () => {
        // On the clock of the write timeout.
        await new Promise((resolve) => setTimeout(resolve, 1.5 * writeTimeout));
      },
    });
    await teach('green');
    expect((await ask('/versions', { method: 'POST' })).body).toMatchObject({ changed: true });
  });

  it('is answered when a calibration takes longer than a client may take to read', async () => {
    const writeTimeout = 1_000;
    const { served } = await startTaught({ load: { ...testLoad, writeTimeout } });
    served.recalibrate = async () => {
      // On the clock of the write timeout.
      await new Promise((resolve) => setTimeout(resolve, 1.5 * writeTimeout));
      throw new NearvoteError('calibration_unfit', 'too few');
    };
    expect((await ask('/calibration', { method: 'POST' })).status).toBe(409);
  });
});

describe('who may do what', () => {
  it('is the key that says so: nobody reads or changes without one, an API key only reads', async () => {
    const started = await startTaught({ apiKeys: [apiKey] });
    const as = (key: string | undefined, path: string, init: RequestInit = {}): Promise<Answer> =>
      started.ask(path, { ...init, headers: key === undefined ? {} : { 'x-api-key': key } });
    for (const path of ['/examples', '/examples/built-0', '/labels']) {
      expect([(await as(undefined, path)).status, (await as(apiKey, path)).status]).toEqual([401, 200]);
    }
    for (const key of [undefined, apiKey, 'wrong']) {
      expect((await as(key, '/examples', form({ label: 'x' }, ['a.png', green]))).status).toBe(401);
      expect((await as(key, '/examples/built-0', { method: 'DELETE' })).status).toBe(401);
      const refused = await as(key, '/changes');
      expect([refused.status, refused.body]).toMatchObject([
        401,
        { detail: expect.stringContaining('Expected the admin key') as string },
      ]);
    }
  });

  it('is nobody where the server has no admin key: what changes anything does not exist', async () => {
    const started = await startTaught({ adminKey: undefined });
    expect((await started.ask('/examples')).status).toBe(200);
    const post = await started.ask('/examples', form({ label: 'x' }, ['a.png', green]));
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await started.ask('/changes')).status).toBe(404);
    expect((await started.ask('/versions')).status).toBe(404);
    for (const { body } of [post, await started.ask('/changes')]) {
      expect((body as { detail: string }).detail).toContain('started without NEARVOTE_ADMIN_KEY');
    }
    const { body } = await started.ask('/nothing');
    expect((body as { detail: string }).detail).not.toContain('NEARVOTE_ADMIN_KEY');
  });

  it('is told why, where the index cannot be changed here', async () => {
    await startTaught({ readonly: 'process 7 on there holds its lock' });
    const answer = await teach('green');
    expect([answer.status, answer.body]).toMatchObject([
      409,
      { code: 'index_readonly', detail: expect.stringContaining('process 7 on there') as string },
    ]);
    expect((await ask('/versions', { method: 'POST' })).status).toBe(409);
    expect((await ask('/versions')).body).toMatchObject({ writable: false });
  });
});

describe('many at once', () => {
  it('are ordered one after another, and no two of them are one', async () => {
    await startTaught();
    const images = await Promise.all(Array.from({ length: 12 }, (_, i) => drawColour(`rgb(0, 255, ${i})`)));
    const answers = await Promise.all([
      ...images.map((image, i) => teach(`label ${i}`, image)),
      ...images.map((image, i) => teach(`label ${i}`, image)),
    ]);
    const outcomes = answers.map(({ body }) => changedSchema.parse(body).outcome);
    expect(outcomes.filter((outcome) => outcome === 'added')).toHaveLength(12);
    const { changes } = changesSchema.parse((await ask('/changes')).body);
    expect(changes.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 12 }, (_, i) => 12 - i));
  });

  it('lose nothing and wait for no one while versions are swapped', async () => {
    await startTaught();
    const swaps = { left: 4 };
    const compactions = (async () => {
      for (; swaps.left > 0; swaps.left--) await ask('/versions', { method: 'POST' });
    })();
    let taught = 0;
    while (swaps.left > 0) {
      const image = await drawColour(`rgb(0, 200, ${taught})`);
      const answer = await teach(`label ${taught}`, image);
      expect(answer.body).toMatchObject({ outcome: 'added', sequence: taught + 1 });
      expect(await labelOf(image)).toBe(`label ${taught}`);
      taught++;
    }
    await compactions;
    expect(taught).toBeGreaterThan(0);
    expect(labelsSchema.parse((await ask('/labels')).body)).toMatchObject({ sequence: taught });
  });
});
