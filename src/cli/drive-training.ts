import type { Checkpoint } from '../train/checkpoint.js';
import { epochLine, inTime } from '../train/describe-run.js';
import { runLoop, type LoopOptions, type LoopResult } from '../train/loop.js';
import type { RunFolder } from '../train/run-folder.js';
import { createStepReport } from './step-report.js';
import { watchSignals } from './stop-signals.js';

/** What the command line brings to the loop itself is left out. */
export interface DriveOptions<Batch extends object> extends Pick<
  LoopOptions<Batch>,
  'config' | 'hash' | 'learner' | 'batchesPerEpoch' | 'nextBatch' | 'validate'
> {
  readonly folder: RunFolder;
  readonly images: number;
  /** Images a step. */
  readonly batch: number;
  readonly threads: number;
  /** On stderr and in the log. */
  readonly say: (line: string) => Promise<void>;
}

export interface DrivenResult extends LoopResult {
  /** By validation; the last where nothing was validated. */
  readonly best: Checkpoint;
}

/** A line on stderr and in the run's log. */
export function createSay(folder: RunFolder): DriveOptions<object>['say'] {
  return async (line) => {
    console.error(line);
    await folder.log(line);
  };
}

/** Runs the loop from where the run's folder left off, telling of it, until its end or a signal. */
export async function driveTraining<Batch extends object>(
  options: DriveOptions<Batch>,
): Promise<DrivenResult> {
  const { folder, config, batchesPerEpoch, images, batch, threads, say } = options;
  const { last } = folder;
  const stop = watchSignals();
  const report = createStepReport({ batch, elapsedSeconds: last?.elapsedSeconds ?? 0, say });
  try {
    await say(
      last === undefined
        ? `training ${config.name}: ${images} images, ${batchesPerEpoch} steps an epoch, ${threads} threads`
        : `going on with ${config.name} from step ${last.step}, after ${inTime(last.elapsedSeconds)}`,
    );
    let fraction = 0;
    const result = await runLoop({
      ...options,
      from: last,
      saveLast: (checkpoint) => folder.saveLast(checkpoint),
      saveBest: (checkpoint) => folder.saveBest(checkpoint),
      onStep: (step) => {
        fraction = step.fraction;
        return report.step(step);
      },
      onEpoch: (figures) => {
        report.clear();
        return say(epochLine({ figures, epochs: config.epochs, fraction }));
      },
      now: () => performance.now() / 1000,
      stopping: () => stop.asked(),
    });
    return { ...result, best: (await folder.readBest()) ?? result.last };
  } finally {
    report.clear();
    stop.unwatch();
  }
}
