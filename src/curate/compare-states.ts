import type { HeldExample, HeldState } from './held-state.js';

interface ComparedExample extends HeldExample {
  readonly id: string;
}

interface RelabelledExample extends ComparedExample {
  /** The label before. */
  readonly was: string;
}

/** How the number of a label's examples has changed. */
interface LabelDifference {
  readonly label: string;
  readonly before: number;
  readonly after: number;
  readonly added: number;
  readonly deleted: number;
  /** Examples that came to it from another label, or went to one. */
  readonly gained: number;
  readonly lost: number;
}

/** What has to be done to the first of two states to make it the second. */
export interface StateDifference {
  readonly from: Pick<HeldState, 'version' | 'sequence'>;
  readonly to: Pick<HeldState, 'version' | 'sequence'>;
  readonly added: readonly ComparedExample[];
  readonly deleted: readonly ComparedExample[];
  readonly relabelled: readonly RelabelledExample[];
  /** The labels that differ, by name. */
  readonly labels: readonly LabelDifference[];
}

/** Compares two states of an index, example by example. */
export function compareStates(from: HeldState, to: HeldState): StateDifference {
  const added: ComparedExample[] = [];
  const relabelled: RelabelledExample[] = [];
  for (const [id, { label, source }] of to.examples) {
    const before = from.examples.get(id);
    if (before === undefined) added.push({ id, label, source });
    else if (before.label !== label) relabelled.push({ id, was: before.label, label, source });
  }
  const deleted = [...from.examples]
    .filter(([id]) => !to.examples.has(id))
    .map(([id, { label, source }]) => ({ id, label, source }));
  const named = ({ version, sequence }: HeldState): StateDifference['from'] => ({ version, sequence });
  const difference = { added, deleted, relabelled };
  return { from: named(from), to: named(to), ...difference, labels: labelsOf(from, to, difference) };
}

function labelsOf(
  from: HeldState,
  to: HeldState,
  { added, deleted, relabelled }: Pick<StateDifference, 'added' | 'deleted' | 'relabelled'>,
): LabelDifference[] {
  const count = (labels: Iterable<string>): ReadonlyMap<string, number> => {
    const counts = new Map<string, number>();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    return counts;
  };
  const label = (example: { readonly label: string }): string => example.label;
  const counts = {
    before: count([...from.examples.values()].map(label)),
    after: count([...to.examples.values()].map(label)),
    added: count(added.map(label)),
    deleted: count(deleted.map(label)),
    gained: count(relabelled.map(label)),
    lost: count(relabelled.map(({ was }) => was)),
  };
  const differing = new Set(
    [counts.added, counts.deleted, counts.gained, counts.lost].flatMap((one) => [...one.keys()]),
  );
  return [...differing].sort().map((name) => ({
    label: name,
    before: counts.before.get(name) ?? 0,
    after: counts.after.get(name) ?? 0,
    added: counts.added.get(name) ?? 0,
    deleted: counts.deleted.get(name) ?? 0,
    gained: counts.gained.get(name) ?? 0,
    lost: counts.lost.get(name) ?? 0,
  }));
}
