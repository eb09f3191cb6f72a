import type { Classification } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import type { KeptBounds, KeptDecision, ReviewPage, ReviewQuery } from '../examples/kept-decisions.js';
import { bytesOf, floatsOf, type Frame } from '../processes/frames.js';
import { compiledModule, superviseChild } from '../processes/supervised-child.js';
import type { KeeperJob, KeeperReady, KeeperReply, KeeperSetup, KeepJob } from './keeper-messages.js';

/** Keeps the decisions of an index and their images for a while, so that a person can correct them. */
export interface DecisionKeeper {
  /**
   * Never throws and never waits: what cannot be kept is reported to `onLost`.
   * @param encoder digest of the encoder, as hex
   */
  keep(asked: {
    readonly classification: Classification;
    readonly image: Uint8Array;
    readonly encoder: string;
  }): void;
  /** @throws NearvoteError `decision_missing` where it is not kept, or not any more; `not_ready`, `worker_failed` */
  find(id: string): Promise<KeptDecision>;
  /** @throws NearvoteError `not_ready`, `worker_failed`, and what the file cannot do */
  review(query: ReviewQuery): Promise<ReviewPage>;
  /** The image with this digest is not asked about again. @throws as `review` */
  answered(digest: string): Promise<void>;
  /** Resolves when what was given to it is kept or reported lost. */
  close(): Promise<void>;
}

export interface DecisionKeeperOptions extends KeptBounds {
  /** `index/NAME`. */
  readonly root: string;
  readonly now: () => Date;
  readonly onLost: (decisions: number, error: Error) => void;
  /** Told where a damaged file lies now; a new one has been begun. */
  readonly onSetAside: (path: string) => void;
  readonly onRestart: (reason: string) => void;
  /** The compiled process; another one only in tests. */
  readonly processFile?: URL | undefined;
}

/** A disk this far behind is as good as broken; memory stays bounded. */
const maxPendingBytes = 32 * 1024 * 1024;
/** A process that is killed loses the decisions of this long. */
const gatherMs = 200;
/** Kept at once: one wait for the disk for all of them. */
const enoughDecisions = 64;
const enoughBytes = 8 * 1024 * 1024;
/** Large photos are made smaller, a second each. */
const jobDeadlineMs = 120_000;
const heapMegabytes = 512;
/** Answers come first. */
const nice = 10;

interface Pending {
  readonly words: KeepJob['decisions'][number];
  readonly parts: Frame['parts'];
  readonly bytes: number;
}

/** Starts the process that keeps them; what comes meanwhile waits for it. */
export function createDecisionKeeper(options: DecisionKeeperOptions): DecisionKeeper {
  const { root, most, mostMs, mostBytes, now, onLost, onSetAside } = options;
  let pending: Pending[] = [];
  /** Of decisions that are not answered for, in the process too. */
  let heldBytes = 0;
  const sending = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let broken: Error | undefined;
  const setup: KeeperSetup = { root, most, mostMs, mostBytes };
  const child = superviseChild<KeeperReady>({
    file: options.processFile ?? compiledModule('./keeper-process.js', import.meta.url),
    ...{ setup, jobDeadlineMs, heapMegabytes, nice, yielding: false },
    onSetUp: ({ setAside }) => {
      if (setAside !== undefined) onSetAside(setAside);
    },
    onReady: () => pump(),
    onRestart: options.onRestart,
  });
  child.started.catch((error: unknown) => {
    broken = error as Error;
    lose(takePending(), broken);
  });

  function takePending(): Pending[] {
    clearTimeout(timer);
    timer = undefined;
    const taken = pending;
    pending = [];
    return taken;
  }

  function lose(decisions: readonly Pending[], error: Error): void {
    release(decisions);
    if (decisions.length > 0) onLost(decisions.length, error);
  }

  function release(decisions: readonly Pending[]): void {
    heldBytes -= decisions.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** One batch at a time: what comes meanwhile makes the next. */
  function pump(): void {
    if (sending.size === 0) sendPending();
  }

  function sendPending(): void {
    if (!child.ready || pending.length === 0) return;
    const batch = send(takePending()).finally(() => {
      sending.delete(batch);
      if (pending.length > 0) timer ??= setTimeout(pump, gatherMs).unref();
    });
    sending.add(batch);
  }

  async function send(batch: readonly Pending[]): Promise<void> {
    try {
      const { unreadable = 0 } = await ask(
        { ask: 'keep', decisions: batch.map(({ words }) => words) },
        batch.flatMap(({ parts }) => parts),
      );
      release(batch);
      if (unreadable > 0) onLost(unreadable, new Error('an image could not be made smaller'));
    } catch (error) {
      lose(batch, error as Error);
    }
  }

  async function opened(): Promise<void> {
    if (broken !== undefined || child.failing) {
      throw new NearvoteError(
        'not_ready',
        'Expected decisions that are kept but their file cannot be opened now',
        { cause: broken },
      );
    }
    await child.started;
  }

  async function ask(
    job: KeeperJob,
    parts: Frame['parts'] = [],
  ): Promise<KeeperReply & Pick<Frame, 'parts'>> {
    const frame = await child.run({ words: job, parts });
    const { error, setAside, ...answer } = frame.words as KeeperReply;
    if (setAside !== undefined) {
      onSetAside(setAside);
      throw new NearvoteError(
        'not_ready',
        'Expected what was kept of decisions but it was damaged and has been begun anew',
      );
    }
    if (error !== undefined) throw new NearvoteError(error.code, error.message);
    return { ...answer, parts: frame.parts };
  }

  /** After all that was kept before: the process does one after another. */
  async function askAfter(job: KeeperJob): ReturnType<typeof ask> {
    await opened();
    sendPending();
    return ask(job);
  }

  return {
    keep: ({ classification: { decision, embedding }, image, encoder }) => {
      const bytes = image.byteLength + embedding.byteLength;
      if (broken !== undefined || heldBytes + bytes > maxPendingBytes) {
        onLost(1, broken ?? new Error(`more than ${maxPendingBytes} bytes wait to be kept`));
        return;
      }
      heldBytes += bytes;
      pending.push({
        words: { decision, at: now().getTime(), encoder },
        // A copy: the image may lie in a body that is much larger.
        parts: [bytesOf(embedding), Buffer.from(image)],
        bytes,
      });
      if (pending.length >= enoughDecisions || heldBytes >= enoughBytes) pump();
      // Decisions alone do not keep a process from ending.
      else timer ??= setTimeout(pump, gatherMs).unref();
    },

    find: async (id) => {
      const { found, parts } = await askAfter({ ask: 'find', id });
      if (found === undefined) {
        throw new NearvoteError(
          'decision_missing',
          `Expected the id of a decision that is kept but ${quoted(id)} is not, or not any more`,
        );
      }
      const { mediaType, at, ...words } = found;
      return {
        ...words,
        at: new Date(at),
        embedding: floatsOf(parts[0]),
        picture: { bytes: parts[1] ?? new Uint8Array(0), mediaType },
      };
    },

    review: async (query) => (await askAfter({ ask: 'review', query })).page ?? { decisions: [], waiting: 0 },

    answered: async (digest) => {
      await askAfter({ ask: 'answered', digest });
    },

    close: async () => {
      sendPending();
      await Promise.all(sending);
      await child.drained();
      lose(takePending(), new Error('the server has stopped'));
      child.stop();
    },
  };
}
