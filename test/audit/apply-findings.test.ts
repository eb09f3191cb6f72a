import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  actsOf,
  type ApplyChoice,
  type FindingActs,
  type HeldLabels,
} from '../../src/audit/apply-findings.js';
import type { KnownFinding } from '../../src/audit/findings-file.js';
import { checkLabel } from '../../src/neighbours/example-names.js';

/** An index of these examples. */
function holding(examples: Readonly<Record<string, string>>): HeldLabels {
  const all = Object.values(examples);
  return {
    labelOf: (id) => examples[id],
    labels: [...new Set(all)].map((label) => ({
      label,
      examples: all.filter((one) => one === label).length,
    })),
    checkLabel,
  };
}

const pets = holding({ a: 'cat', b: 'cat', c: 'cat', d: 'dog', e: 'dog', f: 'dog' });
const all: ApplyChoice = { minProbability: 0.5, unconfirmed: false };
const labelsOf = (ids: readonly string[]): string[] => ids.map((id) => pets.labelOf(id) ?? '');

const wrong = (id: string, suggested: string, probability = 0.97): KnownFinding => ({
  ...{ kind: 'mislabelled', ids: [id], labels: labelsOf([id]), suggested, probability },
});
const copies = (...ids: string[]): KnownFinding => ({
  ...{ kind: 'duplicates', ids, labels: labelsOf(ids), confirmed: true },
});
const leak = (...ids: string[]): KnownFinding => ({
  ...{ kind: 'leak', ids, labels: labelsOf(ids), confirmed: true, test: { id: 'test/1.png' } },
});
const spare = (id: string): KnownFinding => ({ kind: 'droppable', ids: [id], labels: labelsOf([id]) });

/** As `-a` and `b=dog`. */
const shown = ({ acts }: FindingActs): string[] =>
  acts.map((act) => (act.kind === 'delete' ? `-${act.id}` : `${act.id}=${act.label}`));
const apply = (findings: readonly KnownFinding[], choice: Partial<ApplyChoice> = {}): FindingActs =>
  actsOf(findings, pets, { ...all, ...choice });
const whys = ({ fates }: FindingActs): string[] =>
  fates.map((fate) => (fate.outcome === 'left' ? fate.because : 'applied'));

describe('findings become acts', () => {
  it('that relabel, keep the first of duplicates, and delete leaks and what can be dropped, each with its reason', () => {
    const { acts, fates } = apply([wrong('a', 'dog'), copies('b', 'c'), leak('d'), spare('e')]);
    expect(acts).toEqual([
      { kind: 'relabel', id: 'a', label: 'dog', reason: 'audit: mislabelled, 0.97 dog rather than cat' },
      { kind: 'delete', id: 'c', reason: 'audit: duplicates, it is the same picture as b' },
      { kind: 'delete', id: 'd', reason: 'audit: leak, it is the test image test/1.png' },
      { kind: 'delete', id: 'e', reason: 'audit: droppable, no vote changes without it' },
    ]);
    expect(fates[0]).toEqual({ outcome: 'applied', relabelled: 1, deleted: 0 });
  });

  it('but not where a person has to decide, nothing confirms them, or they are less likely than asked', () => {
    const unconfirmed = { ...copies('a', 'b'), confirmed: false } as KnownFinding;
    const conflicting: KnownFinding = {
      kind: 'conflicting-duplicates',
      ids: ['a', 'd'],
      labels: ['cat', 'dog'],
    };
    const overlap: KnownFinding = { kind: 'overlap', labels: ['cat', 'dog'] };
    const findings = [conflicting, overlap, unconfirmed, wrong('d', 'cat', 0.49)];
    expect(whys(apply(findings))).toEqual(['person', 'person', 'unconfirmed', 'probability']);
    expect(shown(apply(findings, { unconfirmed: true, minProbability: 0.4 }))).toEqual(['-b', 'd=cat']);
    const kinds = new Set(['leak'] as const);
    expect(whys(apply([spare('a'), leak('b')], { kinds }))).toEqual(['kind', 'applied']);
  });

  it('but not of examples that are gone or have another label since, while the others go on', () => {
    const was = { ...wrong('d', 'cat'), labels: ['bird'] };
    const found = apply([was, copies('a', 'gone'), spare('b')]);
    expect(whys(found)).toEqual(['changed', 'changed', 'applied']);
    expect(found.fates[0]).toMatchObject({ detail: 'example d is "dog" now, not "bird"' });
    expect(shown(found)).toEqual(['-b']);
  });

  it('but not with a label that no example may have', () => {
    expect(whys(apply([wrong('a', ' '), wrong('b', 'cat'), wrong('c', 'dog')]))).toEqual([
      'label',
      'label',
      'applied',
    ]);
  });

  it('and say which labels would have no example any more', () => {
    expect(apply([leak('d', 'e'), wrong('f', 'cat')]).labelsGone).toEqual(['dog']);
    expect(apply([leak('d', 'e'), wrong('a', 'dog'), spare('f')]).labelsGone).toEqual([]);
  });
});

describe('of two findings about one example', () => {
  it.each([
    ['a duplicate that goes needs no label', [wrong('b', 'dog'), copies('a', 'b')], ['-b']],
    ['a duplicate that stays gets the right label', [wrong('a', 'dog'), copies('a', 'b')], ['a=dog', '-b']],
    ['what stays for its copies is not dropped', [spare('a'), copies('a', 'b')], ['-b']],
    ['what is relabelled is not dropped', [spare('a'), wrong('a', 'dog')], ['a=dog']],
    ['a leak goes, and another copy stays', [copies('a', 'b', 'c'), leak('a')], ['-c', '-a']],
    ['a leak of all copies deletes all', [copies('a', 'b'), leak('a', 'b')], ['-a', '-b']],
    ['groups that share a member leave one each', [copies('a', 'b'), copies('b', 'c')], ['-b']],
    ['the first of two suggestions is taken', [wrong('a', 'dog'), wrong('a', 'bird')], ['a=dog']],
    ['the same twice is done once', [leak('a'), leak('a'), spare('a')], ['-a']],
  ])('%s', (_, findings, expected) => {
    expect(shown(apply(findings))).toEqual(expected);
  });

  it('never is an example changed twice, nor a picture lost of which only copies were to go', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const some = fc.uniqueArray(id, { minLength: 1, maxLength: 4 });
    const finding = fc.oneof(
      some.map((ids) => copies(...ids)),
      some.map((ids) => copies(...ids)),
      id.map((one) => wrong(one, 'bird')),
      id.map(spare),
    );
    fc.assert(
      fc.property(fc.array(finding, { maxLength: 12 }), (findings) => {
        const { acts, fates } = apply(findings);
        const ids = acts.map((act) => act.id);
        expect(new Set(ids).size).toBe(ids.length);
        const gone = new Set(acts.flatMap((act) => (act.kind === 'delete' ? [act.id] : [])));
        for (const [i, { kind, ...found }] of findings.entries()) {
          if (kind !== 'duplicates' || fates[i]?.outcome !== 'applied' || !('ids' in found)) continue;
          expect(found.ids.filter((one) => !gone.has(one))).not.toEqual([]);
        }
      }),
    );
  });
});
