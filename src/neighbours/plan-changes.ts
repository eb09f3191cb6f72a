import { createExampleIds } from '../examples/examples-file.js';
import { storable, type Change, type ChangeDraft, type ExampleContent } from '../examples/journal-record.js';
import { similarNames } from '../domain/closest-name.js';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import type { ChangeOutcome, ChangeRequest, ExampleAct, NewExample } from './changes.js';
import { checkId, checkLabel } from './example-names.js';
import type { LiveIndex } from './live-index.js';

/** What the journal is to be given, and what whoever asked is told of it. */
export interface Plan {
  readonly changes: readonly ChangeDraft[];
  readonly outcomes: readonly ChangeOutcome[];
  /** The operation that this takes back. */
  readonly reverts: number | null;
}

/** What of an index a plan looks up, whoever holds it: all of the index, or what a request can touch of it. */
export type PlannedState = Pick<
  LiveIndex,
  'sequence' | 'encoder' | 'labels' | 'exampleAt' | 'embeddingAt' | 'isAt' | 'positionOf' | 'positionsAfter'
>;

/** What of the journal a plan may look up. */
export interface History {
  /** The changes that were made as one with that one; none where there is no such change. */
  operation(sequence: number): readonly Change[];
  /** Of an added or deleted example, as that change left it. */
  content(sequence: number): ExampleContent | undefined;
  /** The digest of an example's image as its last change left it; undefined where it came with a version. */
  digestOf(id: string): string | undefined;
  /** The ids of the examples that were ever added with an image. */
  idsOf(digest: string): readonly string[];
  /** Every label that a change has given or taken. */
  labels(): Iterable<string>;
  /** Changes, newest first. */
  log(asked: { readonly after: number; readonly limit: number }): readonly Change[];
}

/**
 * What a request comes to in the state that an index is in.
 * @throws NearvoteError `example_missing`, `example_conflict`, `label_missing`, `label_invalid`, `id_invalid`, `change_missing`,
 * `change_conflict`
 */
export function planChanges(live: PlannedState, history: History, request: ChangeRequest): Plan {
  switch (request.kind) {
    case 'add':
      return tellNewLabels(live, planAdding(live, history, request.examples));
    case 'edit':
      return tellNewLabels(live, planActs(live, history, request.acts));
    case 'rename':
      return planRenaming(live, request.from, request.to);
    case 'revert':
      return planReverting(live, history, request.sequence);
    case 'rollback':
      return withReason(
        planRollingBack(live, history, request.sequence),
        request.reason ?? `rollback to ${request.sequence}`,
      );
  }
}

/** A log of deletes alone would not tell why. */
function withReason(plan: Plan, reason: string): Plan {
  return { ...plan, changes: plan.changes.map((change) => ({ ...change, reason })) };
}

/** Whoever gives so many new labels at once means them. */
const mostNewLabels = 20;

/** A label with a slip of the pen in it is a new one: whoever gave it is told. */
function tellNewLabels(live: PlannedState, plan: Plan): Plan {
  const isNew = (one: ChangeOutcome): one is Exclude<ChangeOutcome, { outcome: 'refused' }> =>
    (one.outcome === 'added' || one.outcome === 'relabelled') && !live.labels.has(one.label);
  const labels = new Set(plan.outcomes.filter(isNew).map(({ label }) => label));
  const similar = new Map<string, readonly string[]>();
  if (labels.size <= mostNewLabels) {
    for (const label of labels) similar.set(label, similarNames(label, live.labels.keys()));
  }
  const told = (one: ChangeOutcome): ChangeOutcome => {
    if (!isNew(one)) return one;
    const similarLabels = similar.get(one.label) ?? [];
    return { ...one, newLabel: true, ...(similarLabels.length > 0 ? { similarLabels } : {}) };
  };
  return { ...plan, outcomes: plan.outcomes.map(told) };
}

function planAdding(live: PlannedState, history: History, examples: readonly NewExample[]): Plan {
  const changes: ChangeDraft[] = [];
  /** Of this very request, by id. */
  const begun = new Map<string, NewExample>();
  const known = createKnownImages(live, history);
  const outcomes = examples.map((example): ChangeOutcome => {
    const { digest, label, embedding, picture } = example;
    const source = storable(example.source);
    try {
      checkLabel(label);
      if (example.id !== undefined) checkId(example.id);
      const id = example.id ?? idOf(digest, label);
      const there = known.find(example, id) ?? sameOf(begun, example, id);
      if (there !== undefined) return there;
      begun.set(id, example);
      changes.push({
        kind: 'add',
        id,
        label,
        was: null,
        content: { digest, source, encoder: live.encoder, embedding, picture },
      });
      return { outcome: 'added', id, label };
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
      return { outcome: 'refused', code: error.code, message: error.message };
    }
  });
  return { changes, outcomes, reverts: null };
}

/** The id of an example whose image and label came once: as a build gives it. @param digest of the image, in hex */
export function idOf(digest: string, label: string): string {
  return createExampleIds()({ digest: Buffer.from(digest, 'hex'), label });
}

/** Tells whether an image is an example already: as what it is to be, or as something else. */
function createKnownImages(
  live: PlannedState,
  history: History,
): { find(example: NewExample, id: string): ChangeOutcome | undefined } {
  // An example keeps its id when it gets another label: any label that ever was may be in it.
  let labels: ReadonlySet<string> | undefined;
  return {
    find: ({ digest, label, id: given }, id) => {
      const position = live.positionOf(id);
      if (position !== undefined) {
        const { label: current } = live.exampleAt(position);
        const digestThere = history.digestOf(id);
        const isSame = digestThere === undefined ? id === idOf(digest, label) : digestThere === digest;
        if (isSame && current === label) return { outcome: 'unchanged', id, label };
        throw conflict(
          isSame
            ? `Expected a new image, or one that is ${quoted(current)}, but example ${id} is this image with that label; PATCH it to give it another`
            : `Expected a new id but example ${id} is another image, of ${quoted(current)}`,
        );
      }
      labels ??= new Set([...live.labels.keys(), ...history.labels()]);
      for (const other of [...history.idsOf(digest), ...[...labels].map((one) => idOf(digest, one))]) {
        const at = live.positionOf(other);
        // An id may be another image's since.
        if (at === undefined || (history.digestOf(other) ?? digest) !== digest) continue;
        const { label: current } = live.exampleAt(at);
        // Under an id of its own it was asked for as another example.
        if (current === label && given === undefined) return { outcome: 'unchanged', id: other, label };
        throw conflict(
          `Expected a new image but it is example ${other} already, of ${quoted(current)}${current === label ? '' : `; PATCH that one to give it the label ${quoted(label)}, or relabel it`}`,
        );
      }
      return undefined;
    },
  };
}

/** Of an image or an id that came before in the same request: what it would come to in one of its own. */
function sameOf(
  begun: ReadonlyMap<string, NewExample>,
  { digest, label, id: given }: NewExample,
  id: string,
): ChangeOutcome | undefined {
  const there = begun.get(id);
  const [twin, before] =
    there === undefined ? ([...begun].find(([, one]) => one.digest === digest) ?? []) : [id, there];
  if (twin === undefined || before === undefined) return undefined;
  const isSame = before.digest === digest && before.label === label;
  if (isSame && (twin === id || given === undefined)) return { outcome: 'unchanged', id: twin, label };
  throw conflict(
    `Expected every image and every id once but an image before it, of ${quoted(before.label)}, has the same`,
  );
}

function planActs(live: PlannedState, history: History, acts: readonly ExampleAct[]): Plan {
  const seen = new Set<string>();
  const changes: ChangeDraft[] = [];
  const outcomes = acts.map((act): ChangeOutcome => {
    const named = act.kind === 'add' ? act.example.id : act.id;
    if (seen.has(named)) throw conflict(`Expected every example once but ${quoted(named)} came twice`);
    seen.add(named);
    if (act.kind === 'add') {
      const adding = planExact(live, act);
      changes.push(adding);
      return { outcome: 'added', id: adding.id, label: adding.label };
    }
    const position = positionOf(live, act.id);
    const { id, label: was } = live.exampleAt(position);
    const { reason } = act;
    if (act.kind === 'delete') {
      const content = contentAt(live, history, position);
      changes.push({ kind: 'delete', id, label: null, was, content, reason });
      return { outcome: 'deleted', id, label: was };
    }
    const label = checkLabel(act.label);
    if (label === was) return { outcome: 'unchanged', id, label };
    changes.push({ kind: 'relabel', id, label, was, reason });
    return { outcome: 'relabelled', id, label };
  });
  return { changes, outcomes, reverts: null };
}

/** Whoever says the id as well knows what it is to be: the same image may be another example too. */
function planExact(
  live: PlannedState,
  { example, reason }: ActOf<'add'>,
): ChangeDraft & { readonly label: string } {
  const { digest, embedding, picture } = example;
  const id = checkId(example.id);
  const label = checkLabel(example.label);
  if (live.positionOf(id) !== undefined) throw conflict(`Expected a new id but there is an example ${id}`);
  const content = { digest, source: storable(example.source), encoder: live.encoder, embedding, picture };
  return { kind: 'add', id, label, was: null, content, reason };
}

type ActOf<Kind extends ExampleAct['kind']> = Extract<ExampleAct, { readonly kind: Kind }>;

function planRenaming(live: PlannedState, from: string, to: string): Plan {
  checkLabel(to);
  if (!live.labels.has(from)) {
    throw new NearvoteError('label_missing', `Expected a label of the index but received ${quoted(from)}`);
  }
  if (from === to) return { changes: [], outcomes: [], reverts: null };
  const changes: ChangeDraft[] = [];
  for (const position of live.positionsAfter(-1)) {
    const { id, label } = live.exampleAt(position);
    if (label === from) changes.push({ kind: 'relabel', id, label: to, was: from });
  }
  return {
    changes,
    outcomes: changes.map(({ id }) => ({ outcome: 'relabelled', id, label: to })),
    reverts: null,
  };
}

function planReverting(live: PlannedState, history: History, sequence: number): Plan {
  const made = history.operation(sequence);
  const [first] = made;
  if (first === undefined) {
    throw new NearvoteError(
      'change_missing',
      `Expected the number of a change, at most ${live.sequence}, but received ${sequence}`,
    );
  }
  const outcomes: ChangeOutcome[] = [];
  const changes = [...made].reverse().map((change): ChangeDraft => {
    const { id } = change;
    const position = live.positionOf(id);
    const current = position === undefined ? null : live.exampleAt(position).label;
    if (current !== change.label) throw changedSince(change, current, history);
    if (change.was === null) {
      const at = positionOf(live, id);
      const { label: was } = live.exampleAt(at);
      outcomes.push({ outcome: 'deleted', id, label: was });
      return { kind: 'delete', id, label: null, was, content: contentAt(live, history, at) };
    }
    const { was: label } = change;
    if (current !== null) {
      outcomes.push({ outcome: 'relabelled', id, label });
      return { kind: 'relabel', id, label, was: current };
    }
    outcomes.push({ outcome: 'restored', id, label });
    return restoring(live, { id, label, content: history.content(change.sequence) });
  });
  return { changes, outcomes, reverts: first.operation };
}

/** Each example that was changed since becomes what the first of those changes found. */
function planRollingBack(live: PlannedState, history: History, sequence: number): Plan {
  if (sequence > live.sequence) {
    throw new NearvoteError(
      'change_missing',
      `Expected the number of a change, at most ${live.sequence}, but received ${sequence}`,
    );
  }
  /** By example: what it was, and the first change that says all of that. */
  const found = new Map<string, { was: string | null; full: number | undefined }>();
  for (const { id, kind, was, sequence: at } of history.log({ after: sequence, limit: live.sequence })) {
    found.set(id, { was, full: kind === 'relabel' ? found.get(id)?.full : at });
  }
  const outcomes: ChangeOutcome[] = [];
  const changes: ChangeDraft[] = [];
  for (const [id, { was: label, full }] of found) {
    const position = live.positionOf(id);
    const content = full === undefined || label === null ? undefined : history.content(full);
    if (position !== undefined) {
      const { label: current } = live.exampleAt(position);
      if (content === undefined ? label !== null : live.isAt(position, content)) {
        if (label === null || label === current) continue;
        changes.push({ kind: 'relabel', id, label, was: current });
        outcomes.push({ outcome: 'relabelled', id, label });
        continue;
      }
      const taken = contentAt(live, history, position);
      changes.push({ kind: 'delete', id, label: null, was: current, content: taken });
      if (label === null) outcomes.push({ outcome: 'deleted', id, label: current });
    }
    if (label === null || content === undefined) continue;
    changes.push(restoring(live, { id, label, content }));
    outcomes.push({ outcome: 'restored', id, label });
  }
  return { changes, outcomes, reverts: null };
}

interface Restored {
  readonly id: string;
  readonly label: string;
  readonly content: ExampleContent | undefined;
}

/** @throws NearvoteError `change_conflict` where another encoder embedded it */
function restoring(live: PlannedState, { id, label, content }: Restored): ChangeDraft {
  if (content !== undefined && content.encoder !== live.encoder) {
    throw new NearvoteError(
      'change_conflict',
      `Expected example ${id} to have been embedded by the encoder of this index but another one did; add its image again instead`,
    );
  }
  return { kind: 'restore', id, label, was: null, content };
}

/** A change is taken back only while the example is as the change left it: what came after it comes first. */
function changedSince(
  { id, sequence, label }: Change,
  current: string | null,
  history: History,
): NearvoteError {
  const state = (one: string | null): string => (one === null ? 'deleted' : quoted(one));
  const since = history.log({ after: sequence, limit: Number.MAX_SAFE_INTEGER });
  // A history of one request alone may know what is asked of it, and no later change.
  const last = since.find((one) => one.id === id && one.sequence > sequence);
  const first = last === undefined ? 'what came after that change' : `change ${last.sequence}`;
  return new NearvoteError(
    'change_conflict',
    `Expected example ${id} to be ${state(label)}, as change ${sequence} left it, but it is ${state(current)}: take back ${first} first`,
  );
}

/** @throws NearvoteError `example_missing` */
function positionOf(live: PlannedState, id: string): number {
  const position = live.positionOf(id);
  if (position !== undefined) return position;
  throw new NearvoteError('example_missing', `Expected the id of an example but there is no ${quoted(id)}`);
}

/** All that is needed to bring it back, once no version has it any more; its picture stays where it was added. */
function contentAt(live: PlannedState, history: History, position: number): ExampleContent {
  const { id, source } = live.exampleAt(position);
  const digest = history.digestOf(id) ?? null;
  return { digest, source, encoder: live.encoder, embedding: Float32Array.from(live.embeddingAt(position)) };
}

function conflict(message: string): NearvoteError {
  return new NearvoteError('example_conflict', message);
}
