import type { Dataset } from '../image/dataset/dataset.js';
import type { ExampleAct } from '../neighbours/changes.js';
import type { EmbeddedIndex } from '../neighbours/embedded-index.js';
import type { Match, Surplus } from '../neighbours/match-images.js';
import type { CompactReport } from './compact.js';
import type { Reject } from './sync-images.js';

/** What makes an index equal to a dataset, before anything is decoded. */
export interface SyncPlan {
  readonly name: string;
  readonly dataset: string;
  /** Of the index. */
  readonly examples: number;
  /** Of the dataset. */
  readonly images: number;
  /** Examples that are as they are to be. */
  readonly unchanged: number;
  readonly adding: number;
  /** Of those, examples that were there and that a change deleted. */
  readonly addingDeleted: number;
  readonly relabelling: number;
  /** Of those, examples whose label was given by a change. */
  readonly relabellingChanged: number;
  readonly deleting: number;
  /** Of those, or where they are kept beside them: examples that were taught, and are not in the dataset. */
  readonly taught: readonly Surplus[];
  readonly keepsTaught: boolean;
  /** Examples of images that could not be read: they stay as they are. */
  readonly unread: readonly Surplus[];
}

/** What happened, or would, to the examples of a label. */
export interface SyncedLabel {
  readonly label: string;
  readonly before: number;
  readonly added: number;
  readonly deleted: number;
  /** Of those that were deleted. */
  readonly taught: number;
  /** From another label, or to one. */
  readonly gained: number;
  readonly lost: number;
  readonly after: number;
}

export interface SyncReport {
  readonly dryRun: boolean;
  readonly plan: SyncPlan;
  /** Labels with examples before or after, by code unit. */
  readonly labels: readonly SyncedLabel[];
  readonly added: number;
  readonly relabelled: number;
  readonly deleted: number;
  /** Of what was added: through the encoder, from the cache of builds, or the same image as another example. */
  readonly embedded: number;
  readonly fromCache: number;
  readonly fromIndex: number;
  readonly rejects: readonly Reject[];
  /** Of the last change that the index has made. */
  readonly sequence: number;
  /** What takes all of it back; null where nothing changed. */
  readonly operation: number | null;
  /** Where so much has changed since the version that it was folded into a new one. */
  readonly compacted: CompactReport | undefined;
  /** Why that failed, where it did: the changes are made all the same. */
  readonly unfolded: string | undefined;
  /** What of the dataset was passed over. */
  readonly warnings: readonly string[];
  readonly seconds: number;
}

export interface PlanParts extends Pick<SyncPlan, 'name' | 'keepsTaught' | 'unread'> {
  readonly dataset: Dataset;
  readonly index: EmbeddedIndex | undefined;
  readonly matches: readonly Match[];
  readonly surplus: readonly Surplus[];
}

/** What is to be done, in figures. */
export function planOf(parts: PlanParts): SyncPlan {
  const { name, dataset, index, matches, surplus, keepsTaught, unread } = parts;
  const count = (is: (match: Match) => boolean): number => matches.filter(is).length;
  const taught = surplus.filter((one) => one.taught);
  return {
    ...{ name, dataset: dataset.name, examples: index?.size ?? 0, images: dataset.size },
    unchanged: count(({ kind }) => kind === 'held'),
    adding: count(({ kind }) => kind === 'missing'),
    addingDeleted: count((match) => match.kind === 'missing' && match.deleted),
    relabelling: count(({ kind }) => kind === 'moved'),
    relabellingChanged: count((match) => match.kind === 'moved' && match.relabelled),
    deleting: surplus.length - (keepsTaught ? taught.length : 0),
    ...{ taught, keepsTaught, unread },
  };
}

/** What is known before a version is made of it. */
export type Synced = Omit<SyncReport, 'compacted' | 'unfolded' | 'warnings' | 'seconds'>;

/** All that is needed for the change. */
export interface Prepared extends Pick<
  SyncReport,
  'plan' | 'embedded' | 'fromCache' | 'fromIndex' | 'rejects'
> {
  readonly acts: readonly ExampleAct[];
  readonly before: ReadonlyMap<string, number>;
  readonly labelOf: ReadonlyMap<string, string>;
  readonly sequence: number;
}

/** What the acts do to each label. */
export function reportOf(dryRun: boolean, prepared: Prepared): Synced {
  const { plan, acts, before, labelOf, sequence, embedded, fromCache, fromIndex, rejects } = prepared;
  const taught = new Set(plan.taught.map(({ id }) => id));
  const moves = new Map<
    string,
    { added: number; deleted: number; taught: number; gained: number; lost: number }
  >();
  const of = (label: string): NonNullable<ReturnType<typeof moves.get>> => {
    const known = moves.get(label) ?? { added: 0, deleted: 0, taught: 0, gained: 0, lost: 0 };
    moves.set(label, known);
    return known;
  };
  for (const label of before.keys()) of(label);
  for (const act of acts) {
    if (act.kind === 'add') of(act.example.label).added++;
    else {
      const from = of(labelOf.get(act.id) ?? '');
      if (act.kind === 'delete') {
        from.deleted++;
        if (taught.has(act.id)) from.taught++;
      } else {
        from.lost++;
        of(act.label).gained++;
      }
    }
  }
  const labels = [...moves]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, move]): SyncedLabel => {
      const held = before.get(label) ?? 0;
      return {
        label,
        before: held,
        ...move,
        after: held + move.added - move.deleted + move.gained - move.lost,
      };
    });
  const count = (kind: ExampleAct['kind']): number => acts.filter((act) => act.kind === kind).length;
  return {
    ...{ dryRun, plan, labels, added: count('add'), relabelled: count('relabel'), deleted: count('delete') },
    ...{ embedded, fromCache, fromIndex, rejects, sequence, operation: null },
  };
}
