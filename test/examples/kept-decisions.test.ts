import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Decision } from '../../src/domain/decision.js';
import {
  openKeptDecisions,
  setAsideKeptDecisions,
  type KeptDecision,
  type KeptDecisions,
  type KeptDecisionsOptions,
} from '../../src/examples/kept-decisions.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const noon = Date.parse('2026-01-01T12:00:00.000Z');
const hour = 3_600_000;

let base = '';
let root = '';
let made = 0;
let now = noon;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-kept-'));
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = join(base, `pets-${made++}`);
  now = noon;
  await mkdir(root);
});

const open = (options: Partial<KeptDecisionsOptions> = {}): Promise<KeptDecisions> =>
  openKeptDecisions({ root, most: 100, mostMs: 24 * hour, now: () => new Date(now), ...options });

interface Drawn {
  readonly degrees?: number;
  readonly confidence?: number;
  readonly label?: string;
  readonly pValue?: number;
  readonly outcome?: Decision['outcome'];
  readonly digest?: string;
  readonly pictureBytes?: number;
}

function kept(id: string, drawn: Drawn = {}): KeptDecision {
  const { degrees = 0, confidence = 0.5, label = 'cat', outcome = 'known', pValue, pictureBytes = 3 } = drawn;
  return {
    decision: {
      ...{ id, label, confidence, outcome, calibrated: pValue !== undefined },
      ...(pValue === undefined ? {} : { pValue }),
      scores: [{ label, score: confidence }],
      neighbours: [],
      index: { name: 'pets', version: '1', sequence: 0 },
      encoder: { name: 'tiny', version: '1' },
    },
    at: new Date(now),
    digest: drawn.digest ?? Buffer.from(id.padEnd(32)).toString('hex'),
    encoder: 'cd'.repeat(32),
    embedding: onCircle([degrees]).values,
    picture: { bytes: new Uint8Array(pictureBytes).fill(7), mediaType: 'image/png' },
  };
}

const ids = (store: KeptDecisions, below = 0.8, limit = 20): string[] =>
  store.review({ below, limit }).decisions.map(({ decision }) => decision.id);

describe('decisions that are kept', () => {
  it('are found by their id as they were, also by another process later', async () => {
    const one = kept('a', { degrees: 30, label: 'chat "noir" 猫', confidence: 0.25 });
    const first = await open();
    first.keep([one, kept('b')]);
    expect(first.find('a')).toEqual(one);
    expect(first.find('c')).toBeUndefined();
    first.close();
    const second = await open();
    expect(second.find('a')).toEqual(one);
    second.close();
  });

  it('are at most so many, the oldest going first', async () => {
    const store = await open({ most: 3 });
    for (const id of ['a', 'b', 'c', 'd', 'e']) store.keep([kept(id)]);
    expect(['a', 'b', 'c', 'd', 'e'].filter((id) => store.find(id) !== undefined)).toEqual(['c', 'd', 'e']);
    store.close();
    const fewer = await open({ most: 1 });
    expect(fewer.find('d')).toBeUndefined();
    expect(fewer.find('e')).toBeDefined();
    fewer.close();
  });

  it('are kept for so long', async () => {
    const store = await open({ mostMs: 2 * hour });
    store.keep([kept('a')]);
    now += hour;
    store.keep([kept('b')]);
    now += hour + 1;
    store.forgetOld();
    expect(store.find('a')).toBeUndefined();
    expect(store.find('b')).toBeDefined();
    store.close();
  });

  it('take at most so many bytes, the oldest going first, and what is left out is not in the file any more', async () => {
    const store = await open({ mostBytes: 10_000 });
    const secret = kept('a', { pictureBytes: 4_000 });
    secret.picture.bytes.set(Buffer.from('nobody may read this later'));
    store.keep([secret]);
    for (const id of ['b', 'c', 'd']) store.keep([kept(id, { pictureBytes: 4_000 })]);
    expect(['a', 'b', 'c', 'd'].filter((id) => store.find(id) !== undefined)).toEqual(['c', 'd']);
    store.close();
    expect((await readFile(join(root, 'review.db'))).includes('nobody may read this')).toBe(false);
  });

  it('wait for a person where they are unknown or unsure, the most uncertain first', async () => {
    const store = await open();
    store.keep([
      kept('sure', { confidence: 0.95 }),
      kept('unsure', { confidence: 0.6, degrees: 90 }),
      kept('unknown', { confidence: 0.99, outcome: 'unknown', pValue: 0.01, degrees: 180 }),
      kept('at the bound', { confidence: 0.8, degrees: 270 }),
    ]);
    expect(ids(store)).toEqual(['unknown', 'unsure']);
    expect(ids(store, 0.81)).toEqual(['unknown', 'unsure', 'at the bound']);
    expect(store.review({ below: 0.81, limit: 1 })).toMatchObject({
      waiting: 3,
      decisions: [{ at: '2026-01-01T12:00:00.000Z', decision: { id: 'unknown', pValue: 0.01 } }],
    });
    store.close();
  });

  it('do not ask whether what surely is none of the labels is none of them', async () => {
    const store = await open();
    store.keep([
      kept('surely none', { label: 'none', outcome: 'unknown', confidence: 0.95 }),
      kept('hardly none', { label: 'none', outcome: 'unknown', confidence: 0.5 }),
    ]);
    expect(ids(store)).toEqual(['hardly none']);
    store.close();
  });

  it('ask about an image once, however often it came, and never again once it was answered', async () => {
    const digest = 'ab'.repeat(32);
    const store = await open();
    store.keep([kept('a', { digest }), kept('b', { degrees: 90 }), kept('c', { digest })]);
    expect(ids(store).sort()).toEqual(['b', 'c']);
    store.answered(digest);
    expect(ids(store)).toEqual(['b']);
    store.close();
    const later = await open();
    later.keep([kept('d', { digest })]);
    expect(ids(later)).toEqual(['b']);
    expect(later.find('d')).toBeDefined();
    later.close();
  });

  it('are the same when one of them is kept twice', async () => {
    const store = await open();
    store.keep([kept('a', { confidence: 0.3 })]);
    store.keep([kept('a', { confidence: 0.7 }), kept('b', { degrees: 90 })]);
    expect(store.find('a')?.decision.confidence).toBe(0.3);
    expect(store.find('b')).toBeDefined();
    store.close();
  });

  it('begin anew beside a damaged file, which stays for whoever wants to look', async () => {
    writeFileSync(join(root, 'review.db'), Buffer.alloc(4_096, 'no database'));
    await expect(open()).rejects.toMatchObject({ code: 'index_invalid' });
    const aside = await setAsideKeptDecisions(root, new Date(now));
    expect(aside).toBe(join(root, `review.db.damaged-${noon}`));
    const store = await open();
    store.keep([kept('a')]);
    expect(store.find('a')).toBeDefined();
    store.close();
    expect((await readdir(root)).filter((name) => name.includes('damaged'))).toHaveLength(1);
  });
});
