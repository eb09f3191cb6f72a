import { Socket } from 'node:net';
import { type ErrorCode, NearvoteError } from '../domain/errors.js';
import { type Frame, readFrames, writeFrame } from './frames.js';

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

/** What a child process does: it is set up once, then answers jobs one after another, in order. */
export interface ChildWork {
  /** @returns what the parent is told when this child is ready */
  readonly setUp: (setup: unknown) => Promise<unknown>;
  readonly run: (job: Frame) => Promise<Frame>;
}

/** The descriptor of the pipe to the parent; standard output stays free for what libraries print. */
export const pipeDescriptor = 3;

/** Answers the parent that started this process; ends with it. */
export function answerParent({ setUp, run }: ChildWork): void {
  const pipe = new Socket({ fd: pipeDescriptor });
  const send = (message: ChildMessage, parts: Frame['parts'] = []): void =>
    writeFrame(pipe, { words: message, parts });

  async function handle({ words, parts }: Frame): Promise<void> {
    const message = words as ParentMessage;
    if (message.type === 'ping') return send({ type: 'pong' });
    const job = message.type === 'job' ? message.job : undefined;
    try {
      if (message.type === 'setup') {
        send({ type: 'ready', ready: await setUp(message.setup) });
      } else {
        const reply = await run({ words: message.words, parts });
        send({ type: 'done', job: message.job, words: reply.words }, reply.parts);
      }
    } catch (error) {
      const code = error instanceof NearvoteError ? error.code : 'worker_failed';
      send({ type: 'failed', job, code, message: reasonOf(error) });
    }
  }

  let last = Promise.resolve();
  readFrames(pipe, (frame) => {
    last = last.then(() => handle(frame));
  });
  // The parent decides when to stop: a Ctrl-C or a hang-up reaches the whole process group.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
  // A parent that was killed leaves a reset connection.
  pipe.on('error', () => process.exit(0));
  pipe.on('close', () => process.exit(0));
}

/** An error with what caused it: the parent logs it, and shows no client more than its code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
