import type { Classification } from '../classify.js';
import { openAppendFile } from './append-file.js';
import { createLineQueue } from './line-queue.js';

/** One JSON line a decision; what feedback later refers to by id. */
export interface DecisionLog {
  /** Never throws and never waits: lines that cannot be written are reported to `onLost`. */
  write(classification: Classification): void;
  /** Makes the file again where it was moved, as after every line. */
  reopen(): Promise<void>;
  /** Resolves when every line is written or reported lost. */
  close(): Promise<void>;
}

export interface DecisionLogOptions {
  readonly file: string;
  /** A full file becomes `<file>.1`, the one before `<file>.2`, to `rotations`; older ones are dropped. */
  readonly maxFileBytes: number;
  readonly rotations: number;
  readonly onLost: (lines: number, error: Error) => void;
  readonly now: () => Date;
}

/** A disk this far behind is as good as broken; memory stays bounded. */
const maxPendingBytes = 8 * 1024 * 1024;
/** A process that is killed loses the decisions of this long. */
const gatherMs = 10;

/**
 * Opens the log for appending, and again when it was deleted or could not be written.
 * @throws NearvoteError `output_unwritable`
 */
export async function openDecisionLog(options: DecisionLogOptions): Promise<DecisionLog> {
  const { file, maxFileBytes, rotations, onLost, now } = options;
  const output = await openAppendFile({ file, rotate: { atBytes: maxFileBytes, rotations } });
  const queue = createLineQueue({ deliver: output.append, onLost, maxPendingBytes, gatherMs });
  return {
    write: (classification) => queue.write(JSON.stringify(lineOf(classification, now()))),
    reopen: async () => {
      await output.append([]);
    },
    async close() {
      await queue.flush();
      await output.close();
    },
  };
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
