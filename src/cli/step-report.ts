import { clearLine, cursorTo } from 'node:readline';
import { stepLine } from '../train/describe-run.js';
import type { StepDone } from '../train/loop.js';
import type { ProgressStream } from './progress.js';

/** An epoch can take many minutes. */
const secondsBetweenLines = 30;

export interface StepReportOptions {
  /** Images a step. */
  readonly batch: number;
  /** Seconds of training before the first step that is told. */
  readonly elapsedSeconds: number;
  readonly say: (line: string) => Promise<void>;
  readonly stream?: ProgressStream;
}

export interface StepReport {
  step(step: StepDone): Promise<void>;
  /** Makes room on a terminal for another line. */
  clear(): void;
}

/**
 * Tells of steps: a line twice a minute, and on a terminal one that is rewritten with every step. Loss and rate are
 * means over the steps since the line before.
 */
export function createStepReport(options: StepReportOptions): StepReport {
  const { batch, say, stream = process.stderr } = options;
  const live = stream.isTTY === true;
  let told = { at: options.elapsedSeconds, loss: 0, steps: 0 };

  function clear(): void {
    if (!live) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  }

  return {
    clear,
    step: async (step) => {
      told.loss += step.loss;
      told.steps++;
      const seconds = step.elapsedSeconds - told.at;
      const loss = told.loss / told.steps;
      const line = stepLine({ ...step, loss, imagesPerSecond: (told.steps * batch) / seconds });
      clear();
      if (seconds >= secondsBetweenLines) {
        told = { at: step.elapsedSeconds, loss: 0, steps: 0 };
        await say(line);
      } else if (live) stream.write(line);
    },
  };
}
