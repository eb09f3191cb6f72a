import { dirname } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readVersion, type PublishedVersion } from '../examples/index-store.js';
import type { Change } from '../examples/journal-record.js';
import type { Journal } from '../examples/journal.js';
import { leaseVersion } from '../examples/lease.js';

/** What an index holds at a sequence number: the examples by their ids. */
export interface HeldState {
  readonly version: string;
  readonly sequence: number;
  readonly examples: ReadonlyMap<string, HeldExample>;
}

export interface HeldExample {
  readonly label: string;
  readonly source: string;
}

/**
 * The examples of a version with the changes of the journal up to a sequence number, or without those that came after it.
 * @throws NearvoteError `index_invalid` for a damaged file, or a change that does not fit what was there before it
 */
export async function stateAt(
  published: PublishedVersion,
  journal: Journal | undefined,
  sequence: number,
): Promise<HeldState> {
  const { dir, version, manifest } = published;
  const examples = new Map<string, HeldExample>();
  const lease = await leaseVersion(dirname(dir), version);
  try {
    for (const { id, label, source } of await readVersion(published)) examples.set(id, { label, source });
  } finally {
    await lease.release();
  }
  const held = manifest.sequence ?? 0;
  const [from, to] = [Math.min(held, sequence), Math.max(held, sequence)];
  const between = from === to ? [] : changesBetween(journal, from, to);
  if (sequence >= held) for (const change of between) make(examples, change);
  else for (const change of between.reverse()) takeBack(examples, change);
  return { version, sequence, examples };
}

function changesBetween(journal: Journal | undefined, from: number, to: number): ChangeWithSource[] {
  const [first] = journal?.log({ after: from, before: from + 2, limit: 1 }) ?? [];
  if (journal === undefined || first === undefined) {
    throw new NearvoteError(
      'change_missing',
      `Expected the changes from ${from + 1} to ${to} but the journal does not go back so far`,
    );
  }
  const between: ChangeWithSource[] = [];
  for (const { change, content } of journal.replay(from)) {
    if (change.sequence > to) break;
    between.push({ ...change, source: content?.source });
  }
  return between;
}

interface ChangeWithSource extends Change {
  /** Of add, delete and restore. */
  readonly source: string | undefined;
}

function make(examples: Map<string, HeldExample>, change: ChangeWithSource): void {
  const { id, label, was, source } = change;
  step(examples, change, { before: was, after: label, id, source });
}

function takeBack(examples: Map<string, HeldExample>, change: ChangeWithSource): void {
  const { id, label, was, source } = change;
  step(examples, change, { before: label, after: was, id, source });
}

interface Step {
  readonly id: string;
  /** The label before, null where there is to be no such example. */
  readonly before: string | null;
  readonly after: string | null;
  readonly source: string | undefined;
}

function step(examples: Map<string, HeldExample>, change: Change, { id, before, after, source }: Step): void {
  const held = examples.get(id);
  // What is added comes from nowhere, whatever it was before it was deleted.
  const expected = change.kind === 'relabel' || after === null ? before : null;
  if ((held?.label ?? null) !== expected) {
    throw new NearvoteError(
      'index_invalid',
      `Expected change ${change.sequence} to find example ${id} ${said(expected)} but it is ${said(held?.label ?? null)}: the version was not made of these changes`,
    );
  }
  if (after === null) examples.delete(id);
  else examples.set(id, { label: after, source: held?.source ?? source ?? '' });
}

function said(label: string | null): string {
  return label === null ? 'missing' : `labelled ${JSON.stringify(label)}`;
}
