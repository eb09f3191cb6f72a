import { NearvoteError } from '../domain/errors.js';
import type { Changed, ChangeOutcome } from '../neighbours/changes.js';

/** What became of an image file. */
export type TaughtFile = ChangeOutcome & { readonly file: string };

/** What an index was taught; as any change has it, and which file each outcome is of. */
export interface Taught extends Changed {
  /** In the order of the files. */
  readonly outcomes: readonly TaughtFile[];
  /** All that it took: one, unless somebody else changed the index meanwhile. */
  readonly operations: readonly number[];
}

/** Gathers what becomes of many files in many requests. */
export interface Teaching {
  /** By which the next request goes on with the one before. */
  readonly operation: number | undefined;
  settle(file: string, outcome: ChangeOutcome): void;
  /** Of one request; its outcomes in the order of the files. */
  made(files: readonly string[], changed: Changed): void;
  /** @throws NearvoteError what the first file was refused with, where nothing is as it was to be */
  result(): Taught;
  /** An error that ends the teaching, with what was added before it. */
  interrupted(error: unknown): unknown;
}

/** @param before the sequence of the index before it is taught */
export function createTeaching(before: number): Teaching {
  const outcomes: TaughtFile[] = [];
  const operations: number[] = [];
  let sequence = before;
  return {
    get operation() {
      return operations.at(-1);
    },
    settle: (file, outcome) => void outcomes.push({ file, ...outcome }),
    made: (files, changed) => {
      ({ sequence } = changed);
      for (const [i, outcome] of changed.outcomes.entries())
        outcomes.push({ file: files[i] ?? '', ...outcome });
      const { operation } = changed;
      if (operation !== null && operation !== operations.at(-1)) operations.push(operation);
    },
    result: () => {
      const [first] = outcomes;
      if (first?.outcome === 'refused' && outcomes.every(({ outcome }) => outcome === 'refused')) {
        const all = outcomes.length === 1 ? '' : `None of ${outcomes.length} images was added, the first: `;
        throw new NearvoteError(first.code, `${all}${first.file}: ${first.message}`);
      }
      return { sequence, operation: operations[0] ?? null, operations, outcomes };
    },
    interrupted: (error) => {
      const added = outcomes.filter(({ outcome }) => outcome === 'added').length;
      if (!(error instanceof NearvoteError) || added === 0) return error;
      const taken = operations.map((one) => `nearvote index revert ${one}`).join(', ');
      return new NearvoteError(
        error.code,
        `${error.message}. Before that ${added === 1 ? '1 image was' : `${added} images were`} added and stay: the same command goes on, ${taken}, of the same index, takes them back`,
        { cause: error },
      );
    },
  };
}
