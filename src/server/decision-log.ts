import { once } from 'node:events';
import { basename, dirname } from 'node:path';

import { createStream, type RotatingFileStream } from 'rotating-file-stream';

import type { Classification } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';

/** One JSON line a decision; what feedback later refers to by id. */
export interface DecisionLog {
  /** Never throws and never waits: a line that cannot be written is reported to `onLost`. */
  write(classification: Classification): void;
  /** Resolves when every line is written or reported lost. */
  close(): Promise<void>;
}

export interface DecisionLogOptions {
  readonly file: string;
  /** A full file becomes `<file>.1`, the one before `<file>.2`, to `rotations`; older ones are dropped. */
  readonly maxFileBytes: number;
  readonly rotations: number;
  readonly onLost: (error: Error) => void;
  readonly now: () => Date;
}

/** A disk this far behind is as good as broken; memory stays bounded. */
const maxPendingBytes = 8 * 1024 * 1024;

/**
 * Opens the log for appending, and again after a failed write.
 * @throws NearvoteError `output_unwritable`
 */
export async function openDecisionLog(options: DecisionLogOptions): Promise<DecisionLog> {
  const { file, onLost } = options;
  let stream: RotatingFileStream | undefined = open(options);
  try {
    await once(stream, 'open');
  } catch (cause) {
    throw new NearvoteError('output_unwritable', `Expected to append to ${file} but it cannot be opened`, {
      cause,
    });
  }
  stream.once('error', discard);

  // Every pending line is reported by its own write callback.
  function discard(): void {
    stream = undefined;
  }

  function reopen(): RotatingFileStream {
    const reopened = open(options);
    reopened.once('error', discard);
    return reopened;
  }

  return {
    write(classification) {
      stream ??= reopen();
      if (stream.writableLength > maxPendingBytes) {
        onLost(new Error('the decision log is too far behind'));
        return;
      }
      stream.write(`${JSON.stringify(lineOf(classification, options.now()))}\n`, (error) => {
        if (error) onLost(error);
      });
    },
    close: () =>
      new Promise((resolve) => {
        if (stream === undefined || stream.destroyed) resolve();
        else stream.once('close', resolve).end();
      }),
  };
}

function open({ file, maxFileBytes, rotations }: DecisionLogOptions): RotatingFileStream {
  return createStream(basename(file), { path: dirname(file), size: `${maxFileBytes}B`, rotate: rotations });
}

function lineOf({ decision, topSimilarity }: Classification, time: Date): unknown {
  const { id, label, outcome, confidence, calibrated, pValue, neighbours, index, encoder } = decision;
  return {
    time: time.toISOString(),
    id,
    label,
    outcome,
    confidence,
    calibrated,
    // Left out where there is none.
    pValue,
    topSimilarity,
    neighbours: neighbours.map((neighbour) => neighbour.id),
    index,
    encoder,
  };
}
