import { NearvoteError } from '../domain/errors.js';
import type { PublishedVersion } from '../examples/index-store.js';
import { compareStates, type StateDifference } from './compare-states.js';
import { stateAt, type HeldState } from './held-state.js';
import { openKept, sequenceOf, type KeptIndex } from './kept-versions.js';

export interface DiffOptions {
  /** `index/<name>`. */
  readonly root: string;
  /** VERSION, VERSION@SEQUENCE or SEQUENCE each; a version may be called by how it begins or ends. */
  readonly from: string;
  readonly to: string;
}

/**
 * What was added, deleted and relabelled between two states of an index.
 * @throws NearvoteError `usage` for a state that cannot be named so, `change_missing` for one that there was not, `index_*`
 */
export async function diffIndex({ root, from, to }: DiffOptions): Promise<StateDifference> {
  using kept = await openKept(root);
  return compareStates(await namedState(kept, from), await namedState(kept, to));
}

const sequencePattern = /^\d{1,15}$/;

async function namedState(kept: KeptIndex, named: string): Promise<HeldState> {
  const { journal } = kept;
  if (sequencePattern.test(named)) {
    const sequence = Number(named);
    checkSequence(kept, sequence);
    return stateAt(versionFor(kept, sequence), journal, sequence);
  }
  const [, name = named, asked] = /^(.+)@(\d{1,15})$/.exec(named) ?? [];
  const version = versionCalled(kept, name);
  const sequence = asked === undefined ? sequenceOf(version) : Number(asked);
  checkSequence(kept, sequence);
  return stateAt(version, journal, sequence);
}

/**
 * The sequence number of a state that is called as in `diffIndex`.
 * @throws NearvoteError as `diffIndex`
 */
export async function sequenceCalled(root: string, named: string): Promise<number> {
  if (sequencePattern.test(named)) return Number(named);
  using kept = await openKept(root);
  return (await namedState(kept, named)).sequence;
}

/** The newest version that a state can be made of by adding changes, else the oldest, by taking changes back. */
function versionFor({ versions, current }: KeptIndex, sequence: number): PublishedVersion {
  if (sequenceOf(current) <= sequence) return current;
  return versions.findLast((version) => sequenceOf(version) <= sequence) ?? versions[0] ?? current;
}

function checkSequence({ sequence: last }: KeptIndex, sequence: number): void {
  if (sequence <= last) return;
  throw new NearvoteError(
    'change_missing',
    `Expected a sequence number of 0 to ${last}, that of the last change, but received ${sequence}`,
  );
}

/**
 * The sequence number of a state that is called as in `diffIndex`, of an index that keeps these versions.
 * @throws NearvoteError `usage`
 */
export function sequenceAmong(
  versions: readonly { readonly version: string; readonly sequence: number }[],
  named: string,
): number {
  if (sequencePattern.test(named)) return Number(named);
  const [, name = named, asked] = /^(.+)@(\d{1,15})$/.exec(named) ?? [];
  const { sequence } = versionCalled({ versions }, name);
  return asked === undefined ? sequence : Number(asked);
}

/** The version of that name, or the only one whose name begins or ends so. @throws NearvoteError `usage` */
export function versionCalled<Version extends { readonly version: string }>(
  { versions }: { readonly versions: readonly Version[] },
  name: string,
): Version {
  const exact = versions.find(({ version }) => version === name);
  if (exact !== undefined) return exact;
  const [found, another] = versions.filter(
    ({ version }) => name !== '' && (version.startsWith(name) || version.endsWith(name)),
  );
  const there = versions.map(({ version }) => version).join(', ');
  if (found === undefined) {
    throw new NearvoteError(
      'usage',
      `Expected VERSION, VERSION@SEQUENCE or SEQUENCE but received ${JSON.stringify(name)}; the versions kept are ${there}`,
    );
  }
  if (another === undefined) return found;
  throw new NearvoteError(
    'usage',
    `Expected one version but ${JSON.stringify(name)} may be several of ${there}`,
  );
}
