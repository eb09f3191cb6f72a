import { NearvoteError } from '../domain/errors.js';
import type { Checkpoint } from './checkpoint.js';
import type { TrainConfig } from './config/schema.js';
import { createStepReport, endings, epochLine, inTime, type Narration, type Told } from './describe-run.js';
import {
  runLoop,
  type EndReason,
  type Figures,
  type LoopConfig,
  type LoopOptions,
  type LoopResult,
} from './loop.js';
import type { OptimizerOptions } from './optimizer.js';
import type { RunFolder } from './run-folder.js';

/** What a training is asked for, whatever is trained. */
export interface TrainOptions extends Told {
  readonly config: {
    /** YAML. */
    readonly text: string;
    /** Where it came from. */
    readonly file: string;
  };
  /** The encoder's folder; models/NAME unless told. */
  readonly out?: string | undefined;
  /** The folder of checkpoints and log; runs/NAME unless told. */
  readonly run?: string | undefined;
  /** In seconds, in place of the config's. */
  readonly budget?: number | undefined;
  /** Of the graph, in place of the config's. */
  readonly threads?: number | undefined;
  /** Forgets the run's checkpoints. */
  readonly fresh?: boolean | undefined;
  /** Replaces an encoder that is there. */
  readonly force?: boolean | undefined;
  /** Ends the training after the step at work, with a checkpoint. */
  readonly stop?: AbortSignal | undefined;
}

/** The encoder that was written. */
export interface TrainResult {
  /** Its folder. */
  readonly out: string;
  readonly ended: Exclude<EndReason, 'stopped'>;
  readonly metrics: Figures;
  /** Why not to serve it; left out where nothing speaks against it. */
  readonly warning?: string | undefined;
}

/**
 * Passes on why a training ended.
 * @throws NearvoteError `shutting_down` for one that was told to stop: it can go on, and no encoder is written
 */
export function requireEnd(ended: EndReason, step: number): TrainResult['ended'] {
  if (ended !== 'stopped') return ended;
  throw new NearvoteError('shutting_down', `stopped at step ${step}: ${endings.stopped}`);
}

/** Refuses to go on reading images once it is told to stop: there is no checkpoint to write yet. */
export function stoppable({ progress, narration, stop }: Told & Pick<TrainOptions, 'stop'>): Told {
  const advance = (by: number): void => {
    if (stop?.aborted === true) throw new NearvoteError('shutting_down', 'stopped before the first step');
    progress.advance(by);
  };
  return {
    narration,
    progress: { start: (stage) => progress.start(stage), advance, finish: () => progress.finish() },
  };
}

/** What drives the loop by itself is left out. */
export interface DriveOptions<Batch extends object> extends Pick<
  LoopOptions<Batch>,
  'config' | 'hash' | 'learner' | 'batchesPerEpoch' | 'nextBatch' | 'validate'
> {
  readonly folder: RunFolder;
  readonly images: number;
  /** Images a step. */
  readonly batch: number;
  readonly threads: number;
  readonly narration: Narration;
  readonly stop?: AbortSignal | undefined;
}

export interface DrivenResult extends LoopResult {
  /** By validation; the last where nothing was validated. */
  readonly best: Checkpoint;
}

/** Says a line, and keeps it in the run's log. */
export function createSay(folder: RunFolder, narration: Narration): (line: string) => Promise<void> {
  return async (line) => {
    narration.say(line);
    await folder.log(line);
  };
}

/** Runs the loop from where the run's folder left off, telling of it, until its end or until it is told to stop. */
export async function driveTraining<Batch extends object>(
  options: DriveOptions<Batch>,
): Promise<DrivenResult> {
  const { folder, config, batchesPerEpoch, images, batch, threads, narration, stop } = options;
  const { last } = folder;
  const say = createSay(folder, narration);
  const { show } = narration;
  const report = createStepReport({ batch, elapsedSeconds: last?.elapsedSeconds ?? 0, say, show });
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
        return report(step);
      },
      onEpoch: (figures) => say(epochLine({ figures, epochs: config.epochs, fraction })),
      now: () => performance.now() / 1000,
      stopping: () => stop?.aborted === true,
    });
    const best = (await folder.readBest()) ?? result.last;
    if (result.ended !== 'stopped') await say(keptLine(best, config));
    return { ...result, best };
  } finally {
    show(undefined);
  }
}

/** Which weights are kept, and why. */
function keptLine({ best, step, history }: Checkpoint, { epochs, validation }: LoopConfig): string {
  const epoch = history.find((figures) => figures.step === step)?.epoch ?? epochs;
  const why = best === null ? 'the last' : `the best by ${validation.metric}, ${best.value.toFixed(4)}`;
  return `kept: epoch ${epoch} of ${epochs}, ${why}`;
}

type OfConfig = Pick<TrainConfig, 'optimizer' | 'clip' | 'ema' | 'temperature' | 'seed' | 'threads'>;

/** What a config says of every step, whatever is trained. */
export function stepOptionsIn({ optimizer, clip, ema, temperature, seed, threads = 1 }: OfConfig) {
  return {
    optimizer: optimizerIn(optimizer),
    clipNorm: clip,
    emaDecay: ema?.decay,
    temperature,
    seed,
    threads,
  };
}

/** As the graph takes it: its rate comes with each step. */
function optimizerIn(optimizer: TrainConfig['optimizer']): OptimizerOptions {
  const { weightDecay } = optimizer;
  if (optimizer.kind === 'sgd') {
    const { momentum, nesterov } = optimizer;
    return { name: 'sgd', momentum, nesterov, weightDecay };
  }
  const { beta1, beta2, epsilon } = optimizer;
  return { name: 'adamw', beta1, beta2, epsilon, weightDecay };
}
