import type { ErrorCode } from '../domain/errors.js';

/* What a parent and its child say to each other; the bytes of a job or an answer go beside it in the frame. */

export type ParentMessage =
  | { readonly type: 'setup'; readonly setup: unknown }
  | { readonly type: 'job'; readonly job: number; readonly words: unknown }
  | { readonly type: 'ping' };

export type ChildMessage =
  | { readonly type: 'ready'; readonly ready: unknown }
  | { readonly type: 'done'; readonly job: number; readonly words: unknown }
  /** `job` is absent when the setup failed. */
  | {
      readonly type: 'failed';
      readonly job?: number | undefined;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | { readonly type: 'pong' };
