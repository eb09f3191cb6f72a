import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Example } from '../../src/domain/decision.js';
import type { ChangeRequest, Changed, NewExample } from '../../src/neighbours/changes.js';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { onCircle } from './unit-vectors.js';

/** An index of examples on the unit circle, `[count, 2]`, and one that can be opened again. */
interface OpenedForTest {
  readonly neighbours: Neighbours;
  /** Closes it and opens what is stored. */
  readonly reopen: () => Promise<Neighbours>;
}

export interface Implementation {
  readonly name: string;
  /** With these examples at these angles, in degrees; closed when the test is over. */
  readonly open: (
    examples: readonly (readonly [degrees: number, example: Example])[],
  ) => Promise<OpenedForTest>;
}

/** Opens an index so that it can be opened again; what is open is in `opened`. */
export async function openForTest(
  open: () => Promise<Neighbours>,
  opened: Set<Neighbours>,
): Promise<OpenedForTest> {
  const openOne = async (): Promise<Neighbours> => {
    const neighbours = await open();
    opened.add(neighbours);
    return neighbours;
  };
  const neighbours = await openOne();
  return {
    neighbours,
    reopen: async () => {
      await neighbours.close();
      opened.delete(neighbours);
      return openOne();
    },
  };
}

const direction = (degrees: number): Float32Array => onCircle([degrees]).values;
const anew = (label: string, degrees: number, given: Partial<NewExample> = {}): NewExample => ({
  ...{ label, source: 'taught', digest: randomBytes(32).toString('hex') },
  embedding: direction(degrees),
  ...given,
});
const because = { reason: 'a test', who: 'nobody' };
const add = (...examples: NewExample[]): ChangeRequest => ({ kind: 'add', examples, ...because });
const edit = (...acts: Extract<ChangeRequest, { kind: 'edit' }>['acts']): ChangeRequest => ({
  kind: 'edit',
  acts,
  ...because,
});

async function idsNear(neighbours: Neighbours, degrees: number, k: number): Promise<string[]> {
  return (await neighbours.search(direction(degrees), { k, shown: k })).examples.map(({ id }) => id);
}

function onlyId({ outcomes: [outcome] }: Changed): string {
  if (outcome === undefined || outcome.outcome === 'refused')
    throw new Error('Expected one that was not refused');
  return outcome.id;
}

/** The tests that every implementation of the neighbours port passes. */
export function testConformance({ name, open }: Implementation): void {
  const three = (): Promise<OpenedForTest> =>
    open([
      [0, { id: 'zero', label: 'east', source: '0.png' }],
      [10, { id: 'ten', label: 'east', source: '10.png' }],
      [90, { id: 'ninety', label: 'north', source: '90.png' }],
    ]);

  describe(`${name}: what is searched`, () => {
    it('is of a state that has made the change that is asked for, or refused', async () => {
      const { neighbours } = await three();
      const { sequence } = await neighbours.change(add(anew('west', 180)));
      const asked = { k: 1, shown: 1, atLeast: sequence };
      expect((await neighbours.search(direction(180), asked)).labels).toEqual(['west']);
      expect((await neighbours.list({ limit: 1, atLeast: sequence })).sequence).toBe(sequence);
      const behind = { code: 'index_behind' };
      const later = { ...asked, atLeast: sequence + 1 };
      await expect(neighbours.search(direction(180), later)).rejects.toMatchObject(behind);
      await expect(neighbours.list({ limit: 1, atLeast: sequence + 1 })).rejects.toMatchObject(behind);
    });

    it('is what a version holds, and its state says so', async () => {
      const { neighbours } = await three();
      expect(neighbours.state).toEqual({
        ...{ sequence: 0, examples: 3, changed: 0 },
        labels: [
          { label: 'east', examples: 2 },
          { label: 'north', examples: 1 },
        ],
      });
      const nearest = await neighbours.search(direction(8), { k: 2, shown: 1 });
      expect(nearest.labels).toEqual(['east', 'east']);
      expect(nearest.examples).toEqual([{ id: 'ten', label: 'east', source: '10.png' }]);
      expect(nearest.similarities[0]).toBeCloseTo(Math.cos((2 * Math.PI) / 180), 6);
      expect(nearest.state.sequence).toBe(0);
    });

    it('refuses a k beyond the examples, or clamps it where that is asked', async () => {
      const { neighbours } = await three();
      await expect(neighbours.search(direction(0), { k: 4, shown: 1 })).rejects.toMatchObject({
        code: 'k_too_large',
      });
      const clamped = await neighbours.search(direction(0), { k: 4, clamped: true, shown: 9 });
      expect(clamped.labels).toHaveLength(3);
    });

    it('answers many at once each by its own k, whatever is asked beside it', async () => {
      const { neighbours } = await three();
      const asked = Array.from({ length: 30 }, (_, i) =>
        neighbours.search(direction(i), { k: 1 + (i % 3), shown: 3, clamped: i % 2 === 0 }),
      );
      expect((await Promise.all(asked)).map(({ labels }) => labels.length)).toEqual(
        Array.from({ length: 30 }, (_, i) => 1 + (i % 3)),
      );
    });
  });

  describe(`${name}: a change`, () => {
    it('is used by the search that follows it, and every answer says after which change it was found', async () => {
      const { neighbours } = await three();
      const changed = await neighbours.change(add(anew('west', 180), anew('west', 181)));
      expect(changed).toMatchObject({ sequence: 2, operation: 1 });
      const nearest = await neighbours.search(direction(179), { k: 2, shown: 2 });
      expect(nearest.labels).toEqual(['west', 'west']);
      expect(nearest.state).toMatchObject({ sequence: 2, examples: 5, changed: 2 });
      expect(neighbours.state.labels).toContainEqual({ label: 'west', examples: 2 });
    });

    it('calls an example the same before and after the index was opened again', async () => {
      const { neighbours, reopen } = await three();
      await neighbours.change(add(anew('west', 180, { id: 'new', source: 'a\0b \ud83d.png' })));
      const before = (await neighbours.example('new')).example;
      expect((await (await reopen()).example('new')).example).toEqual(before);
    });

    it('is there after the index was opened again', async () => {
      const { neighbours, reopen } = await three();
      const id = onlyId(await neighbours.change(add(anew('west', 180))));
      await neighbours.change(
        edit({ kind: 'delete', id: 'zero' }, { kind: 'relabel', id: 'ten', label: 'west' }),
      );
      const again = await reopen();
      expect(again.state).toMatchObject({ sequence: 3, examples: 3 });
      const { labels, examples } = await again.search(direction(0), { k: 3, shown: 3 });
      expect(labels).toEqual(['west', 'north', 'west']);
      expect(examples.map((example) => example.id)).toEqual(['ten', 'ninety', id]);
    });

    it('may say of each act why it is made, beside why all are', async () => {
      const { neighbours } = await three();
      const relabelled = { kind: 'relabel', id: 'ten', label: 'north', reason: 'it is further up' } as const;
      await neighbours.change(edit({ kind: 'delete', id: 'zero' }, relabelled));
      const reasons = (await neighbours.log({ limit: 2 })).map(({ reason }) => reason);
      expect(reasons).toEqual(['it is further up', because.reason]);
    });

    it('tells the labels of many ids at once, and of which there is no example', async () => {
      const { neighbours } = await three();
      await neighbours.change(
        edit({ kind: 'delete', id: 'zero' }, { kind: 'relabel', id: 'ten', label: 'up' }),
      );
      expect(await neighbours.labelsOf(['ninety', 'zero', 'ten', 'nobody'])).toEqual([
        'north',
        null,
        'up',
        null,
      ]);
    });

    it('that says what is so already changes nothing', async () => {
      const { neighbours } = await three();
      const example = anew('west', 180);
      const id = onlyId(await neighbours.change(add(example)));
      for (const request of [add(example), edit({ kind: 'relabel', id, label: 'west' })]) {
        const again = await neighbours.change(request);
        expect(again).toMatchObject({
          sequence: 1,
          operation: null,
          outcomes: [{ outcome: 'unchanged', id }],
        });
      }
    });

    it('takes an id that is given, and refuses it for another image', async () => {
      const { neighbours } = await three();
      expect(onlyId(await neighbours.change(add(anew('west', 180, { id: 'mine' }))))).toBe('mine');
      const other = await neighbours.change(
        add(anew('west', 181, { id: 'mine' }), anew('west', 182, { id: 'fine' })),
      );
      expect(other.outcomes).toMatchObject([
        { outcome: 'refused', code: 'example_conflict' },
        { outcome: 'added', id: 'fine' },
      ]);
    });

    it('does not make one image two things', async () => {
      const { neighbours } = await three();
      const example = anew('west', 180);
      const id = onlyId(await neighbours.change(add(example)));
      const { outcomes, sequence } = await neighbours.change(add({ ...example, label: 'east' }));
      expect(outcomes).toMatchObject([{ outcome: 'refused', code: 'example_conflict' }]);
      expect(sequence).toBe(1);
      const twice = anew('south', 270);
      const both = await neighbours.change(add(twice, { ...twice, label: 'east' }, twice));
      expect(both.outcomes.map(({ outcome }) => outcome)).toEqual(['added', 'refused', 'unchanged']);
      // Once it is called something else, that is what it is.
      await neighbours.change(edit({ kind: 'relabel', id, label: 'east' }));
      const renamed = await neighbours.change(add({ ...example, label: 'east' }));
      expect(renamed.outcomes).toEqual([{ outcome: 'unchanged', id, label: 'east' }]);
    });

    it('makes one image one example, as one request or as several', async () => {
      const { neighbours } = await three();
      const own = anew('west', 180, { id: 'mine' });
      const unnamed = { ...own, id: undefined };
      const other = { ...own, id: 'another' };
      const { outcomes } = await neighbours.change(add(own, unnamed, other));
      expect(outcomes).toMatchObject([
        { outcome: 'added', id: 'mine' },
        { outcome: 'unchanged', id: 'mine' },
        { outcome: 'refused', code: 'example_conflict' },
      ]);
      expect((await neighbours.change(add(unnamed, other))).outcomes).toMatchObject([
        { outcome: 'unchanged', id: 'mine' },
        { outcome: 'refused', code: 'example_conflict' },
      ]);
    });

    it('of which one part cannot be made is not made at all', async () => {
      const { neighbours } = await three();
      const acts = edit({ kind: 'delete', id: 'zero' }, { kind: 'delete', id: 'nobody' });
      await expect(neighbours.change(acts)).rejects.toMatchObject({ code: 'example_missing' });
      expect(neighbours.state).toMatchObject({ sequence: 0, examples: 3 });
    });

    it('adds, relabels and deletes as one, which is taken back as one', async () => {
      const { neighbours, reopen } = await three();
      const picture = { bytes: Uint8Array.of(1, 2), mediaType: 'image/png' };
      const exact = { ...anew('south', 270), id: 'exact', digest: null };
      const shown = { ...anew('west', 180), id: 'shown', picture };
      const changed = await neighbours.change(
        edit(
          { kind: 'add', example: exact },
          { kind: 'delete', id: 'zero' },
          { kind: 'add', example: shown },
          { kind: 'relabel', id: 'ten', label: 'west' },
        ),
      );
      expect(changed).toMatchObject({
        ...{ sequence: 4, operation: 1 },
        outcomes: [
          { outcome: 'added', id: 'exact', label: 'south' },
          { outcome: 'deleted', id: 'zero', label: 'east' },
          { outcome: 'added', id: 'shown', label: 'west' },
          { outcome: 'relabelled', id: 'ten', label: 'west' },
        ],
      });
      const index = await reopen();
      expect(await idsNear(index, 180, 4)).toEqual(['shown', 'ninety', 'exact', 'ten']);
      expect([...(await index.picture('shown')).bytes]).toEqual([1, 2]);
      await index.change({ kind: 'revert', sequence: 1, ...because });
      expect(await idsNear(index, 0, 3)).toEqual(['zero', 'ten', 'ninety']);
    });

    it('adds under exactly the id that is said, unless that is taken, and then makes nothing of it', async () => {
      const { neighbours } = await three();
      const twin = anew('west', 180);
      await neighbours.change(
        edit(
          { kind: 'add', example: { ...twin, id: 'one' } },
          { kind: 'add', example: { ...twin, id: 'two', label: 'south' } },
        ),
      );
      expect(neighbours.state.examples).toBe(5);
      const more = { ...anew('west', 190), id: 'three' };
      for (const [act, code] of [
        [{ ...more, id: 'one' }, 'example_conflict'],
        [{ ...more, id: 'a/b' }, 'id_invalid'],
        [{ ...more, id: 'four', label: ' a' }, 'label_invalid'],
      ] as const) {
        const acts = edit({ kind: 'add', example: more }, { kind: 'add', example: act });
        await expect(neighbours.change(acts), code).rejects.toMatchObject({ code });
      }
      expect(neighbours.state).toMatchObject({ sequence: 2, examples: 5 });
    });

    it('deletes only once', async () => {
      const { neighbours } = await three();
      await neighbours.change(edit({ kind: 'delete', id: 'zero' }));
      await expect(neighbours.change(edit({ kind: 'delete', id: 'zero' }))).rejects.toMatchObject({
        code: 'example_missing',
      });
      const both = edit({ kind: 'delete', id: 'ten' }, { kind: 'delete', id: 'ten' });
      await expect(neighbours.change(both)).rejects.toMatchObject({ code: 'example_conflict' });
    });

    it('refuses a label that could not be told from another', async () => {
      const { neighbours } = await three();
      const controls = ['a\u0000b', 'a\nb', 'a\u2028b', 'a\u202eb', '\ufeff'];
      const others = ['', 'x'.repeat(201), 'x'.repeat(10_000), ' a', 'e\u0301', '\ud800'];
      for (const label of [...controls, ...others]) {
        const { outcomes } = await neighbours.change(add(anew(label, 180)));
        expect(outcomes, label).toMatchObject([{ outcome: 'refused', code: 'label_invalid' }]);
        const acts = edit({ kind: 'relabel', id: 'zero', label });
        await expect(neighbours.change(acts), label).rejects.toMatchObject({ code: 'label_invalid' });
      }
      expect(neighbours.state.sequence).toBe(0);
    });

    it('takes any other label as it is', async () => {
      const { neighbours, reopen } = await three();
      const odd = [
        '<img src=x onerror=alert(1)>',
        '__proto__',
        'constructor',
        'ürün',
        'قط',
        '🐈‍⬛',
        "'; drop table x",
      ];
      await neighbours.change(add(...odd.map((label, i) => anew(label, 150 + i))));
      const { labels } = await (await reopen()).search(direction(150), { k: 7, shown: 1 });
      expect(labels).toEqual(odd);
    });

    it('refuses an id that is no plain name', async () => {
      const { neighbours } = await three();
      const odd = ['', 'a/b', '../up', '.hidden', 'x'.repeat(129), 'a b', 'ä', 'a%2fb'];
      const { outcomes } = await neighbours.change(add(...odd.map((id) => anew('west', 180, { id }))));
      expect(outcomes).toMatchObject(odd.map(() => ({ outcome: 'refused', code: 'id_invalid' })));
    });

    it('renames a label, and merges it into one that is there', async () => {
      const { neighbours } = await three();
      const rename = (from: string, to: string): Promise<Changed> =>
        neighbours.change({ kind: 'rename', from, to, ...because });
      expect(await rename('east', 'orient')).toMatchObject({ sequence: 2, operation: 1 });
      expect(await rename('orient', 'north')).toMatchObject({ sequence: 4, operation: 3 });
      expect(neighbours.state.labels).toEqual([{ label: 'north', examples: 3 }]);
      expect((await rename('north', 'north')).operation).toBeNull();
      await expect(rename('east', 'x')).rejects.toMatchObject({ code: 'label_missing' });
    });

    it('can empty the index and fill it again', async () => {
      const { neighbours } = await three();
      await neighbours.change(
        edit(...['zero', 'ten', 'ninety'].map((id) => ({ kind: 'delete', id }) as const)),
      );
      expect(neighbours.state.examples).toBe(0);
      await expect(neighbours.search(direction(0), { k: 3, clamped: true, shown: 1 })).rejects.toMatchObject({
        code: 'index_empty',
      });
      await neighbours.change(add(anew('west', 180)));
      expect((await neighbours.search(direction(0), { k: 3, clamped: true, shown: 1 })).labels).toEqual([
        'west',
      ]);
    });
  });

  describe(`${name}: what is taken back`, () => {
    it('is an adding, a deleting, a new label, and what was made as one', async () => {
      const { neighbours } = await three();
      await neighbours.change(add(anew('west', 180, { id: 'new' })));
      await neighbours.change(
        edit(
          { kind: 'delete', id: 'zero' },
          { kind: 'relabel', id: 'ten', label: 'west' },
          { kind: 'delete', id: 'new' },
        ),
      );
      const revert = (sequence: number): Promise<Changed> =>
        neighbours.change({ kind: 'revert', sequence, ...because });
      // By any change of the operation.
      const back = await revert(3);
      expect(back.operation).toBe(5);
      expect(
        back.outcomes.map((one) => (one.outcome === 'refused' ? '' : `${one.id} ${one.outcome}`)).sort(),
      ).toEqual(['new restored', 'ten relabelled', 'zero restored']);
      expect(await idsNear(neighbours, 0, 4)).toEqual(['zero', 'ten', 'ninety', 'new']);
      await revert(1);
      expect(neighbours.state).toMatchObject({ examples: 3 });
      // Taking back what was taken back.
      await revert(neighbours.state.sequence);
      expect(await idsNear(neighbours, 180, 1)).toEqual(['new']);
      const [last] = await neighbours.log({ limit: 1 });
      expect(last).toMatchObject({ kind: 'restore', id: 'new', reason: 'a test', who: 'nobody', reverts: 8 });
    });

    it('is everything after a change, as one, which can be taken back in turn', async () => {
      const { neighbours, reopen } = await three();
      const stateOf = async (of: Neighbours): Promise<unknown> => (await of.list({ limit: 99 })).examples;
      const states = [await stateOf(neighbours)];
      for (const request of [
        add(anew('west', 180, { id: 'new' }), anew('west', 185, { id: 'other' })),
        edit({ kind: 'relabel', id: 'ten', label: 'west' }, { kind: 'delete', id: 'zero' }),
        edit({ kind: 'delete', id: 'new' }, { kind: 'relabel', id: 'ten', label: 'south' }),
      ]) {
        await neighbours.change(request);
        states.push(await stateOf(neighbours));
      }
      const rollback = (sequence: number): Promise<Changed> =>
        neighbours.change({ kind: 'rollback', sequence, ...because });
      expect((await rollback(4)).operation).toBe(7);
      expect(await stateOf(neighbours)).toEqual(states[2]);
      await rollback(0);
      expect(await stateOf(neighbours)).toEqual(states[0]);
      await rollback(6);
      expect(await stateOf(await reopen())).toEqual(states[3]);
      await expect(rollback(999)).rejects.toMatchObject({ code: expect.any(String) as string });
    });

    it('is nothing that was changed since, is gone, or never was', async () => {
      const { neighbours } = await three();
      await neighbours.change(edit({ kind: 'relabel', id: 'ten', label: 'west' }));
      await neighbours.change(edit({ kind: 'delete', id: 'ten' }));
      const revert = (sequence: number): Promise<Changed> =>
        neighbours.change({ kind: 'revert', sequence, ...because });
      await expect(revert(1)).rejects.toMatchObject({ code: 'change_conflict' });
      for (const sequence of [0, 3, 99]) {
        await expect(revert(sequence)).rejects.toMatchObject({ code: 'change_missing' });
      }
      await revert(2);
      await expect(revert(2)).rejects.toMatchObject({ code: 'change_conflict' });
      await revert(1);
      expect((await neighbours.example('ten')).example.label).toBe('east');
    });
  });

  describe(`${name}: what has the id of one that was deleted`, () => {
    it('does not come back in its place, nor give it its picture', async () => {
      const { neighbours, reopen } = await three();
      const pictureOf = (byte: number) => ({ bytes: Uint8Array.of(byte), mediaType: 'image/png' });
      const first = anew('west', 180, { id: 'mine', source: 'first.png', picture: pictureOf(1) });
      const second = anew('south', 270, { id: 'mine', source: 'second.png', picture: pictureOf(2) });
      for (const [example, at] of [
        [first, 1],
        [second, 3],
      ] as const) {
        expect((await neighbours.change(add(example))).sequence).toBe(at);
        await neighbours.change(edit({ kind: 'delete', id: 'mine' }));
      }
      await neighbours.change({ kind: 'revert', sequence: 2, ...because });
      for (const opened of [() => Promise.resolve(neighbours), reopen]) {
        const index = await opened();
        expect(await idsNear(index, 180, 1)).toEqual(['mine']);
        expect((await index.example('mine')).example).toMatchObject({ label: 'west', source: 'first.png' });
        expect([...(await index.picture('mine')).bytes]).toEqual([1]);
        expect((await index.change(add({ ...second, label: 'west' }))).outcomes).toMatchObject([
          { outcome: 'refused', code: 'example_conflict' },
        ]);
        expect((await index.change(add(first))).outcomes).toMatchObject([{ outcome: 'unchanged' }]);
      }
    });

    it('does not keep its image from being an example of its own', async () => {
      const { neighbours } = await three();
      const first = anew('west', 180, { id: 'mine' });
      await neighbours.change(add(first));
      await neighbours.change(edit({ kind: 'delete', id: 'mine' }));
      await neighbours.change(add(anew('west', 270, { id: 'mine' })));
      const { outcomes } = await neighbours.change(add({ ...first, id: undefined }));
      expect(outcomes).toMatchObject([{ outcome: 'added' }]);
    });

    it('gives way to it again where all is gone back to', async () => {
      const { neighbours } = await three();
      await neighbours.change(edit({ kind: 'delete', id: 'zero' }));
      await neighbours.change(add(anew('south', 200, { id: 'zero' })));
      await neighbours.change({ kind: 'rollback', sequence: 0, ...because });
      expect(await idsNear(neighbours, 0, 3)).toEqual(['zero', 'ten', 'ninety']);
      expect((await neighbours.example('zero')).example).toMatchObject({ label: 'east', source: '0.png' });
      const { sequence } = neighbours.state;
      await neighbours.change(edit({ kind: 'delete', id: 'zero' }));
      await neighbours.change(add(anew('south', 200, { id: 'zero' })));
      await neighbours.change(edit({ kind: 'delete', id: 'zero' }));
      await neighbours.change({ kind: 'rollback', sequence, ...because });
      expect(await idsNear(neighbours, 0, 3)).toEqual(['zero', 'ten', 'ninety']);
    });

    it('comes from a build without a picture, and goes back to that', async () => {
      const { neighbours } = await three();
      const picture = { bytes: Uint8Array.of(1), mediaType: 'image/png' };
      await neighbours.change(edit({ kind: 'delete', id: 'zero' }));
      await neighbours.change(add(anew('east', 200, { id: 'zero', picture })));
      await neighbours.change(edit({ kind: 'delete', id: 'zero' }));
      await neighbours.change({ kind: 'revert', sequence: 1, ...because });
      expect(await idsNear(neighbours, 0, 1)).toEqual(['zero']);
      await expect(neighbours.picture('zero')).rejects.toMatchObject({ code: 'example_missing' });
    });
  });

  describe(`${name}: what can be looked at`, () => {
    it('is every example, page after page, by label and by text, while others go', async () => {
      const { neighbours } = await three();
      await neighbours.change(add(anew('west', 180, { id: 'new', source: 'Phone.JPG' })));
      const first = await neighbours.list({ limit: 2 });
      expect(first).toMatchObject({ more: true, sequence: 1 });
      expect(first.examples.map(({ id }) => id)).toEqual(['zero', 'ten']);
      await neighbours.change(edit({ kind: 'delete', id: 'ten' }));
      const rest = await neighbours.list({ limit: 2, after: 'ten' });
      expect(rest).toMatchObject({ more: false });
      expect(rest.examples.map(({ id }) => id)).toEqual(['ninety', 'new']);
      expect((await neighbours.list({ limit: 9, label: 'east' })).examples.map(({ id }) => id)).toEqual([
        'zero',
      ]);
      expect((await neighbours.list({ limit: 9, text: 'phone' })).examples.map(({ id }) => id)).toEqual([
        'new',
      ]);
      await expect(neighbours.list({ limit: 9, after: 'nobody' })).rejects.toMatchObject({
        code: 'example_missing',
      });
    });

    it('is an example with all that happened to it, and its picture', async () => {
      const { neighbours, reopen } = await three();
      const picture = { bytes: Uint8Array.of(1, 2, 3), mediaType: 'image/png' };
      await neighbours.change(add(anew('west', 180, { id: 'new', picture })));
      await neighbours.change(edit({ kind: 'relabel', id: 'new', label: 'east' }));
      await neighbours.change(edit({ kind: 'delete', id: 'new' }));
      await expect(neighbours.example('new')).rejects.toMatchObject({ code: 'example_missing' });
      await expect(neighbours.picture('new')).rejects.toMatchObject({ code: 'example_missing' });
      await neighbours.change({ kind: 'revert', sequence: 3, ...because });
      const again = await reopen();
      const { example, changes } = await again.example('new');
      expect(example).toEqual({ id: 'new', label: 'east', source: 'taught' });
      expect(changes.map(({ kind }) => kind)).toEqual(['restore', 'delete', 'relabel', 'add']);
      const kept = await again.picture('new');
      expect({ ...kept, bytes: [...kept.bytes] }).toEqual({ bytes: [1, 2, 3], mediaType: 'image/png' });
      await expect(again.picture('zero')).rejects.toMatchObject({ code: 'example_missing' });
    });

    it('has in the log the source of an example where the change says it', async () => {
      const { neighbours } = await three();
      await neighbours.change(add(anew('west', 180, { id: 'new', source: 'gull.jpg' })));
      await neighbours.change(edit({ kind: 'relabel', id: 'new', label: 'south' }));
      await neighbours.change(edit({ kind: 'delete', id: 'new' }));
      const sourcesOf = async (id?: string) =>
        (await neighbours.log({ limit: 9, id })).map(({ kind, source }) => [kind, source]);
      const sources = [
        ['delete', 'gull.jpg'],
        ['relabel', undefined],
        ['add', 'gull.jpg'],
      ];
      expect([await sourcesOf(), await sourcesOf('new')]).toEqual([sources, sources]);
    });

    it('says of a rollback to what, unless it was given another reason', async () => {
      const { neighbours } = await three();
      await neighbours.change(add(anew('west', 180), anew('west', 185)));
      await neighbours.change({ kind: 'rollback', sequence: 1, reason: null, who: null });
      await neighbours.change({ kind: 'rollback', sequence: 2, reason: 'a slip', who: null });
      await neighbours.change({ kind: 'rollback', sequence: 0, reason: null, who: null });
      const reasons = (await neighbours.log({ limit: 9 })).map(({ reason }) => reason);
      const [to0, to2, to1] = ['rollback to 0', 'a slip', 'rollback to 1'];
      expect(reasons).toEqual([to0, to0, to2, to1, because.reason, because.reason]);
    });

    it('is the log, newest first, page after page', async () => {
      const { neighbours } = await three();
      for (let i = 0; i < 5; i++) await neighbours.change(add(anew(`label ${i}`, 100 + i)));
      expect((await neighbours.log({ limit: 2 })).map(({ sequence }) => sequence)).toEqual([5, 4]);
      expect((await neighbours.log({ before: 4, limit: 9 })).map(({ sequence }) => sequence)).toEqual([
        3, 2, 1,
      ]);
    });
  });
}
