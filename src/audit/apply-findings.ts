import { NearvoteError } from '../domain/errors.js';
import type { ExampleEdit } from '../neighbours/changes.js';
import type { KnownFinding } from './findings-file.js';

export const findingKinds = [
  'mislabelled',
  'duplicates',
  'conflicting-duplicates',
  'leak',
  'overlap',
  'droppable',
] as const satisfies readonly KnownFinding['kind'][];

/** Below it a label is likelier right than wrong. */
export const defaultMinProbability = 0.5;

export interface ApplyChoice {
  /** The others are left; all of them unless given. */
  readonly kinds?: ReadonlySet<KnownFinding['kind']> | undefined;
  /** That a label is wrong, 0 to 1: a mislabelled finding below it is left. */
  readonly minProbability: number;
  /** Whether duplicates and leaks are applied that no pixels confirm. */
  readonly unconfirmed: boolean;
}

/** What an index holds at the moment when findings are applied to it. */
export interface HeldLabels {
  /** Of an example; undefined where there is none with that id. */
  readonly labelOf: (id: string) => string | undefined;
  readonly labels: Iterable<{ readonly label: string; readonly examples: number }>;
  /** @throws NearvoteError `label_invalid` */
  readonly checkLabel: (label: string) => string;
}

export const leftReasons = [
  /** Of a kind that was not asked for. */
  'kind',
  /** It needs a decision that no finding makes. */
  'person',
  'unconfirmed',
  'probability',
  /** Its examples are not as the audit found them. */
  'changed',
  /** Another finding decides about its examples. */
  'settled',
  /** The suggested label cannot be given. */
  'label',
] as const;

/** What becomes of a finding. */
type Fate =
  | { readonly outcome: 'applied'; readonly relabelled: number; readonly deleted: number }
  | { readonly outcome: 'left'; readonly because: (typeof leftReasons)[number]; readonly detail: string };

export interface FindingActs {
  /** At most one an example, in the order of the findings. */
  readonly acts: readonly ExampleEdit[];
  /** Of each finding, in their order. */
  readonly fates: readonly Fate[];
  /** Labels of which no example would be left. */
  readonly labelsGone: readonly string[];
}

type Of<Kind extends KnownFinding['kind']> = Extract<KnownFinding, { kind: Kind }>;
type Applicable = Of<'mislabelled' | 'duplicates' | 'leak' | 'droppable'>;
type Left = Extract<Fate, { outcome: 'left' }>;

const left = (because: Left['because'], detail: string): Left => ({ outcome: 'left', because, detail });

/**
 * The changes that findings ask for in the state that an index is in. Of several findings about one example the earlier of
 * these wins: a leak, since it falsifies every figure; duplicates, since a copy that goes needs no label, and the copy
 * that stays is why the others may go; mislabelled, since a label that was corrected is worth more than room; droppable.
 */
export function actsOf(
  findings: readonly KnownFinding[],
  held: HeldLabels,
  choice: ApplyChoice,
): FindingActs {
  const fates = findings.map((finding): Fate | undefined => refusal(finding, held, choice));
  /** By id, with the place of the finding that asks for it. */
  const acts = new Map<string, { readonly act: ExampleEdit; readonly of: number }>();
  /** Examples that stay because their copies go, with one of those. */
  const kept = new Map<string, string>();
  const open = <Kind extends Applicable['kind']>(kind: Kind): [number, Of<Kind>][] =>
    findings.flatMap((finding, i) =>
      finding.kind === kind && fates[i] === undefined ? [[i, finding as Of<Kind>]] : [],
    );
  const take = (of: number, wanted: readonly ExampleEdit[], otherwise: string): void => {
    for (const act of wanted) acts.set(act.id, { act, of });
    const relabelled = wanted.filter(({ kind }) => kind === 'relabel').length;
    fates[of] =
      wanted.length === 0
        ? left('settled', otherwise)
        : { outcome: 'applied', relabelled, deleted: wanted.length - relabelled };
  };
  const remove = (id: string, why: string): ExampleEdit => ({ kind: 'delete', id, reason: reasonOf(why) });

  for (const [i, { ids, test }] of open('leak')) {
    const free = ids.filter((id) => !acts.has(id));
    take(
      i,
      free.map((id) => remove(id, `leak, it is the test image ${test.id}`)),
      'another finding deletes them',
    );
  }
  for (const [i, { ids }] of open('duplicates')) {
    const there = ids.filter((id) => !acts.has(id));
    const stays = there.find((id) => kept.has(id)) ?? there[0];
    const go = there.filter((id) => id !== stays && !kept.has(id));
    if (stays !== undefined && go[0] !== undefined) kept.set(stays, go[0]);
    take(
      i,
      go.map((id) => remove(id, `duplicates, it is the same picture as ${stays ?? ''}`)),
      'other findings leave no more than one of them',
    );
  }
  for (const [i, { ids, suggested, probability }] of open('mislabelled')) {
    const free = ids.filter((id) => !acts.has(id));
    take(
      i,
      free.map((id) => ({
        ...{ kind: 'relabel', id, label: suggested },
        reason: reasonOf(
          `mislabelled, ${probability.toFixed(2)} ${suggested} rather than ${held.labelOf(id) ?? ''}`,
        ),
      })),
      'another finding deletes or relabels it',
    );
  }
  for (const [i, { ids }] of open('droppable')) {
    const free = ids.filter((id) => !acts.has(id) && !kept.has(id));
    const copy = ids.find((id) => kept.has(id));
    take(
      i,
      free.map((id) => remove(id, 'droppable, no vote changes without it')),
      copy === undefined
        ? 'another finding deletes or relabels it'
        : `it stays for its duplicate ${kept.get(copy) ?? ''}, which goes`,
    );
  }
  const inOrder = [...acts.values()].sort((a, b) => a.of - b.of).map(({ act }) => act);
  return {
    acts: inOrder,
    fates: fates.map((fate) => fate ?? left('settled', 'another finding decides')),
    labelsGone: labelsGone(inOrder, held),
  };
}

/** Why a finding is not applied, whatever the others say. */
function refusal(finding: KnownFinding, held: HeldLabels, choice: ApplyChoice): Left | undefined {
  const { kind } = finding;
  if (choice.kinds?.has(kind) === false) return left('kind', `${kind} was not asked for`);
  if (kind === 'overlap') return left('person', 'tell the labels apart, or rename one to the other');
  if (kind === 'conflicting-duplicates') {
    return left('person', 'decide for one label, then relabel or delete the others');
  }
  if (kind === 'mislabelled' && finding.probability < choice.minProbability) {
    return left('probability', `${finding.probability} is below ${choice.minProbability}`);
  }
  if ((kind === 'duplicates' || kind === 'leak') && !finding.confirmed && !choice.unconfirmed) {
    return left('unconfirmed', 'no pixels say so: look at the pictures');
  }
  return changedSince(finding, held) ?? labelRefused(finding, held);
}

function changedSince({ ids, labels }: Applicable, { labelOf }: HeldLabels): Left | undefined {
  for (const [i, id] of ids.entries()) {
    const label = labelOf(id);
    if (label === undefined) return left('changed', `there is no example ${id}`);
    if (label !== labels[i]) {
      return left(
        'changed',
        `example ${id} is ${JSON.stringify(label)} now, not ${JSON.stringify(labels[i])}`,
      );
    }
  }
  return undefined;
}

function labelRefused(finding: Applicable, held: HeldLabels): Left | undefined {
  if (finding.kind !== 'mislabelled') return undefined;
  if (finding.labels.includes(finding.suggested)) return left('label', 'it has the suggested label already');
  try {
    held.checkLabel(finding.suggested);
    return undefined;
  } catch (error) {
    if (error instanceof NearvoteError) return left('label', error.message);
    throw error;
  }
}

function labelsGone(acts: readonly ExampleEdit[], { labels, labelOf }: HeldLabels): string[] {
  const counts = new Map([...labels].map(({ label, examples }) => [label, examples]));
  const before = [...counts.keys()];
  const count = (label: string, by: number): void => void counts.set(label, (counts.get(label) ?? 0) + by);
  for (const act of acts) {
    count(labelOf(act.id) ?? '', -1);
    if (act.kind === 'relabel') count(act.label, 1);
  }
  return before.filter((label) => (counts.get(label) ?? 0) <= 0);
}

const mostReasonLetters = 500;

function reasonOf(why: string): string {
  const reason = `audit: ${why}`;
  return reason.length > mostReasonLetters ? `${reason.slice(0, mostReasonLetters)}…` : reason;
}
