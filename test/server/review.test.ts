import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPublished } from '../../src/examples/index-store.js';
import { lockWriter } from '../../src/examples/writer.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import type { OpenPair } from '../../src/pair.js';
import { createDecisionKeeper } from '../../src/server/decision-keeper.js';
import { createLabelAdvice } from '../../src/server/label-advice.js';
import { adviseAside } from '../../src/evaluate/advise-aside.js';
import { changedSchema, labelsSchema } from '../../src/server/example-schemas.js';
import { createLiveChanges } from '../../src/server/live-changes.js';
import { answeredSchema, reviewSchema, type ReviewBody } from '../../src/server/review-schemas.js';
import { decisionSchema, type DecisionBody } from '../../src/server/schemas.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { unitRows } from '../neighbours/unit-vectors.js';
import { createColourClassifierOver, drawColour } from './colour-classifier.js';
import { expectProblem, startTestServer, type Answer, type TestServer } from './test-server.js';

const adminKey = 'a-key-of-the-admin-alone';
const folder = await mkdtemp(join(tmpdir(), 'nearvote-review-'));
afterAll(() => rm(folder, { recursive: true }));

let root = '';
let count = 0;
let server: TestServer;
const closing: (() => Promise<unknown>)[] = [];
const cyan = await drawColour('#00ffff');
const teal = await drawColour('#007f80');
const purple = await drawColour('#ff00ff');
const red = await drawColour('#ff0000');

beforeEach(async () => {
  root = join(folder, `index-${count++}`, 'colours');
  const axes = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  await publishSmallIndex({
    root,
    embeddings: unitRows(axes.flatMap((axis) => [axis, axis])),
    examples: ['red', 'red', 'green', 'green', 'blue', 'blue'].map((label, i) => ({
      ...{ id: `built-${i}`, label },
      source: `${i}.png`,
    })),
  });
});
const stop = async (): Promise<void> => {
  for (const close of closing.splice(0).reverse()) await close();
};
afterEach(stop);

/** A server over a real index and a real keeper, each in a process of its own. */
async function start({ keep = true, review = true } = {}): Promise<void> {
  server = await startTestServer({ adminKey, classifier: undefined });
  const { served } = server;
  const lock = await lockWriter(root);
  closing.push(() => lock.release());
  const published = await readPublished(root);
  const neighbours = await openIndexOwner({ ...published, search: 'auto', threads: 1, access: 'write' });
  closing.push(() => neighbours.close());
  served.classifier = createColourClassifierOver(neighbours);
  served.pair = { published, neighbours } as OpenPair;
  served.changes = createLiveChanges({
    writer: lock,
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    neighbours: () => neighbours,
    compact: () => Promise.reject(new Error('not here')),
    reload: () => Promise.resolve(),
  });
  if (keep) {
    const keeper = createDecisionKeeper({
      ...{ root, most: 100, mostMs: 3_600_000, now: () => new Date() },
      ...{ onLost: () => undefined, onSetAside: () => undefined, onRestart: () => undefined },
    });
    closing.push(() => keeper.close());
    served.kept = { keeper, reviewBelow: review ? 0.8 : undefined };
  }
  closing.push(() => server.close());
}

const ask = (path: string, value?: unknown): Promise<Answer> =>
  server.ask(path, {
    ...(value === undefined ? {} : { method: 'POST', body: JSON.stringify(value) }),
    headers: { 'x-api-key': adminKey, 'content-type': 'application/json' },
  });

async function classify(image: Buffer): Promise<DecisionBody> {
  const headers = { 'content-type': 'image/png' };
  const { body } = await server.ask('/classify', {
    method: 'POST',
    headers,
    body: Uint8Array.from(image),
  });
  return decisionSchema.parse(body);
}

const queue = async (): Promise<ReviewBody> => reviewSchema.parse((await ask('/review')).body);

describe('POST /feedback', () => {
  it('makes the image of a decision an example that the next request uses, and the same again changes nothing', async () => {
    await start();
    const { id, label } = await classify(cyan);
    expect(label).not.toBe('cyan');
    const taught = await ask('/feedback', { id, label: 'cyan', who: 'Ada' });
    const changed = changedSchema.parse(taught.body);
    expect(changed).toMatchObject({ sequence: 1, outcome: 'added', label: 'cyan' });
    expect((await classify(cyan)).neighbours[0]).toMatchObject({ id: changed.id, label: 'cyan' });
    const picture = await server.ask(`/examples/${changed.id}/picture`, {
      headers: { 'x-api-key': adminKey },
    });
    expect(picture.headers.get('content-type')).toBe('image/png');
    const again = changedSchema.parse((await ask('/feedback', { id, label: 'cyan' })).body);
    expect(again).toMatchObject({ sequence: 1, outcome: 'unchanged', id: changed.id });
    expectProblem(await ask('/feedback', { id, label: 'navy' }), 409, 'example_conflict');
  });

  it('gives the example the id that its image has wherever it comes from', async () => {
    await start();
    const { id } = await classify(cyan);
    const { body } = await ask('/feedback', { id, label: 'cyan' });
    const { id: example } = changedSchema.parse(body);
    const image = cyan.toString('base64');
    expect(changedSchema.parse((await ask('/examples', { image, label: 'cyan' })).body)).toMatchObject({
      ...{ id: example, outcome: 'unchanged' },
    });
  });

  it('refuses what is not kept, what another encoder has decided, and a bad label, and changes nothing', async () => {
    await start();
    const { id } = await classify(cyan);
    expectProblem(await ask('/feedback', { id: 'another', label: 'cyan' }), 404, 'decision_missing');
    expectProblem(await ask('/feedback', { id, label: ' ' }), 400, 'label_invalid');
    expectProblem(await ask('/feedback', { id }), 400, 'request_malformed');
    const { pair } = server.served;
    if (pair === undefined) throw new Error('Expected a pair');
    server.served.classifier = createColourClassifierOver(pair.neighbours, undefined, 'aa'.repeat(32));
    expectProblem(await ask('/feedback', { id, label: 'cyan' }), 409, 'decision_outdated');
    expect((await classify(red)).index.sequence).toBe(0);
  });

  it('says what the server was started without', async () => {
    await start({ keep: false });
    const detail = expectProblem(await ask('/feedback', { id: 'x', label: 'cyan' }), 404, 'decision_missing');
    expect(detail).toContain('--keep-images');
    expectProblem(await ask('/review'), 404, 'not_found');
    await stop();
    await start({ review: false });
    expectProblem(await ask('/review'), 404, 'not_found');
  });

  it('is for the admin key alone', async () => {
    await start();
    for (const path of ['/review', '/review/x/picture']) {
      expectProblem(await server.ask(path), 401, 'unauthorized');
    }
  });
});

describe('GET /labels?advice=true', () => {
  it('is null while the advice is drawn, then says what each label would gain, anew after a change', async () => {
    await start();
    const { served } = server;
    served.advice = createLabelAdvice(
      () => adviseAside({ root, seed: 1 }),
      () => undefined,
    );
    const advice = async () => labelsSchema.parse((await ask('/labels?advice=true')).body).advice;
    expect(await advice()).toBeNull();
    await expect.poll(advice, { timeout: 20_000 }).toContainEqual({ label: 'red', accuracy: 1, gain: 0 });
    await ask('/feedback', { id: (await classify(cyan)).id, label: 'cyan' });
    expect(await advice()).toBeNull();
    await expect
      .poll(advice, { timeout: 20_000 })
      .toContainEqual({ label: 'cyan', accuracy: null, gain: null });
    expect((await ask('/labels')).body).not.toHaveProperty('advice');
  });
});

describe('the review queue', () => {
  it('lists unsure decisions with their pictures, those unlike each other first, and not those that are sure', async () => {
    await start();
    await classify(red);
    const ids: string[] = [];
    for (const image of [cyan, teal, purple]) ids.push((await classify(image)).id);
    const { waiting, decisions } = await queue();
    expect(waiting).toBe(3);
    const [first, second, third] = decisions.map(({ id }) => id);
    // Cyan and teal are one colour to the encoder: whichever comes first, purple is before the other.
    expect([first, second, third].sort()).toEqual([...ids].sort());
    expect(ids.indexOf(third ?? '')).toBeLessThan(2);
    const shown = decisions.find(({ id }) => id === ids[2]);
    const picture = await fetch(`${server.url}${shown?.picture ?? ''}`, {
      headers: { 'x-api-key': adminKey },
    });
    expect(Buffer.from(await picture.arrayBuffer())).toEqual(purple);
  });

  it('takes a label, none of the labels, or nothing for an answer, and asks about that image no more, also later', async () => {
    await start();
    const [a, b, c] = [await classify(cyan), await classify(teal), await classify(purple)];
    const answers = [
      await ask(`/review/${a.id}`, { label: 'cyan' }),
      await ask(`/review/${b.id}`, { dismiss: true }),
      await ask(`/review/${c.id}`, { none: true }),
    ].map(({ body }) => answeredSchema.parse(body));
    expect(answers).toMatchObject([
      { sequence: 1, outcome: 'added', label: 'cyan' },
      { sequence: 1, outcome: 'dismissed', id: b.id },
      { sequence: 2, outcome: 'added', label: 'none' },
    ]);
    expect(await queue()).toEqual({ waiting: 0, decisions: [] });
    await stop();
    await start();
    for (const image of [teal, cyan]) await classify(image);
    expect(await classify(purple)).toMatchObject({ label: 'none', outcome: 'unknown' });
    expect((await queue()).decisions.map(({ id }) => id)).not.toContain(b.id);
    expect((await queue()).waiting).toBe(0);
    expectProblem(await ask(`/review/${c.id}`, { label: 'x', none: true }), 400, 'request_malformed');
    expectProblem(await ask('/review?limit=101'), 400, 'query_invalid');
  });
});
