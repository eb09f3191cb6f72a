import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import { createExampleIds } from '../examples/examples-file.js';
import { checkLabel } from './example-names.js';
import type { LiveIndex } from './live-index.js';
import type { History } from './plan-changes.js';

/** An image by its content, and what it is labelled. */
export interface LabelledDigest {
  /** 32 bytes, of the image's content. */
  readonly digest: Uint8Array;
  readonly label: string;
}

/** What an index has of an image. */
export type Match =
  | { readonly kind: 'held'; readonly id: string }
  /** It has the image under another label. */
  | {
      readonly kind: 'moved';
      readonly id: string;
      readonly from: string;
      /** A change gave it that label, not a build. */
      readonly relabelled: boolean;
    }
  | {
      readonly kind: 'missing';
      /** That it would have: free, and as a build gives it. */
      readonly id: string;
      /** The position of an example that is the same image under another label or once more: its embedding is known. */
      readonly twin: number | undefined;
      /** It was there and a change deleted it. */
      readonly deleted: boolean;
    };

/** What an index holds that none of the images is. */
export interface Surplus {
  readonly id: string;
  readonly label: string;
  readonly source: string;
  /** Whether it was taught by a change, and did not come from a dataset. */
  readonly taught: boolean;
}

export interface Matching {
  /** One for each image, in their order. */
  readonly matches: readonly Match[];
  /** In the order of the index. */
  readonly surplus: readonly Surplus[];
}

interface Wanted {
  readonly at: number;
  readonly hex: string;
  readonly digest: Uint8Array;
  readonly label: string;
}

type Known = Pick<History, 'digestOf' | 'labels' | 'log'>;

/**
 * Finds each of the images among the live examples by its content: as many examples as there are images of that content,
 * those with its label first. An example that came with a version is known by its id, which is made of its content and of the
 * label that it had then; one that was taught by the digest in the journal.
 * @throws NearvoteError `label_invalid` for a label that an image would be given and none may have
 */
export function matchImages(
  live: LiveIndex,
  history: Known | undefined,
  images: readonly LabelledDigest[],
): Matching {
  const past = pastOf(live, history);
  const matches = new Array<Match>(images.length);
  const taken = new Set<number>();
  const open: Wanted[] = [];
  const nameExample = createExampleIds();
  for (const [at, { digest, label }] of images.entries()) {
    const id = nameExample({ digest, label });
    const position = live.positionOf(id);
    const hex = Buffer.from(digest).toString('hex');
    const isHeld =
      position !== undefined &&
      live.exampleAt(position).label === label &&
      (past.digestOf(id) ?? hex) === hex;
    if (isHeld) {
      taken.add(position);
      matches[at] = { kind: 'held', id };
    } else open.push({ at, hex, digest, label });
  }

  const left = [...live.positionsAfter(-1)].filter((position) => !taken.has(position));
  const copies = copiesAmong(live, past, { left, open });
  const missing: Wanted[] = [];
  const settle = ({ at }: Wanted, position: number, match: Match): void => {
    taken.add(position);
    matches[at] = match;
  };
  // An image that is there with its label is found before a copy of it is taken for another label.
  const others = open.filter((wanted) => {
    const position = copies.get(wanted.hex)?.find((one) => {
      return !taken.has(one) && live.exampleAt(one).label === wanted.label;
    });
    if (position !== undefined) settle(wanted, position, { kind: 'held', id: live.exampleAt(position).id });
    return position === undefined;
  });
  for (const wanted of others) {
    checkGiven(wanted.label);
    const position = copies.get(wanted.hex)?.find((one) => !taken.has(one));
    if (position === undefined) missing.push(wanted);
    else {
      const { id, label: from } = live.exampleAt(position);
      settle(wanted, position, { kind: 'moved', id, from, relabelled: past.relabelled.has(id) });
    }
  }

  const twins = twinsOf(live, missing, { images, matches });
  const given = new Set<string>();
  for (const { at, hex, digest, label } of missing) {
    const id = freeId(live, given, { digest, label });
    given.add(id);
    matches[at] = { kind: 'missing', id, twin: twins.get(hex), deleted: past.lastKind.get(id) === 'delete' };
  }
  const surplus = left.flatMap((position): Surplus[] => {
    if (taken.has(position)) return [];
    const { id, label, source } = live.exampleAt(position);
    return [{ id, label, source, taught: past.digestOf(id) !== undefined }];
  });
  return { matches, surplus };
}

/** @throws NearvoteError `label_invalid` naming it: a dataset may have thousands */
function checkGiven(label: string): void {
  try {
    checkLabel(label);
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    throw new NearvoteError(error.code, `${error.message}: ${quoted(label)}`, { cause: error });
  }
}

/** An example that was taught. */
export interface TaughtExample {
  readonly position: number;
  /** Of its image's content, in hex. */
  readonly digest: string;
}

/** The live examples that changes have added with their images, in the order of the index. */
export function taughtExamples(live: LiveIndex, history: Known | undefined): TaughtExample[] {
  const past = pastOf(live, history);
  return [...live.positionsAfter(-1)].flatMap((position) => {
    const digest = past.digestOf(live.exampleAt(position).id);
    return digest === undefined ? [] : [{ position, digest }];
  });
}

interface Past {
  /** Of an example that was taught. */
  digestOf(id: string): string | undefined;
  readonly relabelled: ReadonlySet<string>;
  /** Of the last change of each example that was changed. */
  readonly lastKind: ReadonlyMap<string, string>;
  labels(): Iterable<string>;
}

/** The journal is asked about those examples alone that it knows: most of an index came with its version. */
function pastOf(live: LiveIndex, history: Known | undefined): Past {
  const lastKind = new Map<string, string>();
  const relabelled = new Set<string>();
  for (const { id, kind } of history?.log({ after: 0, limit: live.sequence }) ?? []) {
    if (!lastKind.has(id)) lastKind.set(id, kind);
    if (kind === 'relabel') relabelled.add(id);
  }
  return {
    digestOf: (id) => (lastKind.has(id) ? history?.digestOf(id) : undefined),
    relabelled,
    lastKind,
    labels: () => history?.labels() ?? [],
  };
}

interface Unmatched {
  /** Positions of live examples, ascending. */
  readonly left: readonly number[];
  readonly open: readonly Wanted[];
}

/** By the digest of an image that is still looked for: the examples that are that image, ascending. */
function copiesAmong(live: LiveIndex, past: Past, { left, open }: Unmatched): ReadonlyMap<string, number[]> {
  const copies = new Map<string, number[]>();
  if (left.length === 0) return copies;
  const isLeft = new Set(left);
  const labels = new Set<string>(past.labels());
  for (const position of left) labels.add(live.exampleAt(position).label);
  for (const { hex, digest } of open) {
    if (copies.has(hex)) continue;
    const found: number[] = [];
    for (const label of labels) {
      const nameExample = createExampleIds();
      // A copy of the first may be there though the first is not.
      for (let repeats = 0; ; repeats++) {
        const id = nameExample({ digest, label });
        const position = live.positionOf(id);
        if (position !== undefined && isLeft.has(position) && past.digestOf(id) === undefined) {
          found.push(position);
        }
        if (repeats > 0 && live.positionOf(id, 'orDeleted') === undefined) break;
      }
    }
    copies.set(hex, found);
  }
  for (const position of left) {
    const digest = past.digestOf(live.exampleAt(position).id);
    if (digest !== undefined) copies.get(digest)?.push(position);
  }
  for (const found of copies.values()) found.sort((a, b) => a - b);
  return copies;
}

interface Found {
  readonly images: readonly LabelledDigest[];
  /** Those that are missing have none yet. */
  readonly matches: readonly (Match | undefined)[];
}

/** For the digest of an image that is missing, the position of an example that is the same image. */
function twinsOf(
  live: LiveIndex,
  missing: readonly Wanted[],
  { images, matches }: Found,
): ReadonlyMap<string, number | undefined> {
  const wanted = new Set(missing.map(({ hex }) => hex));
  const twins = new Map<string, number | undefined>();
  if (wanted.size === 0) return twins;
  for (const [at, { digest }] of images.entries()) {
    const match = matches[at];
    if (match === undefined || match.kind === 'missing') continue;
    const hex = Buffer.from(digest).toString('hex');
    if (wanted.has(hex)) twins.set(hex, live.positionOf(match.id));
  }
  return twins;
}

function freeId(live: LiveIndex, given: ReadonlySet<string>, image: LabelledDigest): string {
  const nameExample = createExampleIds();
  for (;;) {
    const id = nameExample(image);
    if (live.positionOf(id) === undefined && !given.has(id)) return id;
  }
}
