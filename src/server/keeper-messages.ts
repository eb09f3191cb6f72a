/* What a decision keeper (decision-keeper.ts) and its process (keeper-process.ts) say to each other. */
import type { Decision } from '../domain/decision.js';
import type { ErrorCode } from '../domain/errors.js';
import type { KeptBounds, ReviewPage, ReviewQuery } from '../examples/kept-decisions.js';

export interface KeeperSetup extends KeptBounds {
  /** `index/NAME`. */
  readonly root: string;
}

export interface KeeperReady {
  /** Where a damaged file was put out of the way. */
  readonly setAside?: string | undefined;
}

/** Beside the words of each decision lie its embedding and its image file. */
export interface KeepJob {
  readonly ask: 'keep';
  readonly decisions: readonly {
    readonly decision: Decision;
    /** In milliseconds since 1970. */
    readonly at: number;
    /** Of the encoder, as hex. */
    readonly encoder: string;
  }[];
}

export type KeeperJob =
  | KeepJob
  | { readonly ask: 'find'; readonly id: string }
  | { readonly ask: 'review'; readonly query: ReviewQuery }
  | { readonly ask: 'answered'; readonly digest: string };

/** What was found, in words; beside it lie its embedding and its picture. */
interface FoundWords {
  readonly decision: Decision;
  readonly at: number;
  readonly digest: string;
  readonly encoder: string;
  readonly mediaType: string;
}

export interface KeeperReply {
  /** Of `keep`: how many images could not be made into a picture. */
  readonly unreadable?: number | undefined;
  readonly found?: FoundWords | undefined;
  readonly page?: ReviewPage | undefined;
  readonly setAside?: string | undefined;
  readonly error?: { readonly code: ErrorCode; readonly message: string } | undefined;
}
