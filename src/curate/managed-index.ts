import type { LoggedChange } from '../examples/journal-record.js';
import type { LabelledFiles } from '../image/dataset/labelled-files.js';
import type { Changed } from '../neighbours/changes.js';
import type { IndexDescription } from './describe-index.js';

/** Why a change is made, and who says so. */
interface Said {
  readonly reason: string | null;
  readonly who: string | null;
}

/** What a person asks for who changes examples that are there. */
export type EditRequest = Said &
  (
    | {
        readonly kind: 'edit';
        readonly acts: readonly (
          | { readonly kind: 'relabel'; readonly id: string; readonly label: string }
          | { readonly kind: 'delete'; readonly id: string }
        )[];
      }
    | { readonly kind: 'rename'; readonly from: string; readonly to: string }
    | { readonly kind: 'revert' | 'rollback'; readonly sequence: number }
  );

export interface TeachRequest extends Said {
  readonly files: LabelledFiles;
  /** Of a single image; made from it and its label unless told. */
  readonly id?: string | undefined;
  /** Stops after the images at hand. */
  readonly signal?: AbortSignal | undefined;
}

export interface LogRequest {
  readonly limit: number;
  readonly before?: number | undefined;
  readonly id?: string | undefined;
}

/** A version that all changes were folded into. */
export interface FoldedVersion {
  readonly name: string;
  readonly version: string;
  /** False where there was nothing to fold in. */
  readonly changed: boolean;
  readonly sequence: number;
  readonly examples: number;
  /** Why the version has no graph, where its recall is too low. */
  readonly refused?: string | undefined;
}

/** An index that people look after: in a folder that nobody serves, or in a server. */
export interface ManagedIndex {
  change(request: EditRequest): Promise<Changed>;
  /** Newest first. */
  log(request: LogRequest): Promise<readonly LoggedChange[]>;
  /** Its `root` is for those who have the folder. */
  describe(): Promise<Omit<IndexDescription, 'root'>>;
  /** The sequence of a state: a number, or a version that is kept. @throws NearvoteError `usage`, `change_missing` */
  sequenceCalled(state: string): Promise<number>;
}
