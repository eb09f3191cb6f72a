import { NearvoteError } from '../domain/errors.js';
import type { Checkpoint } from './checkpoint.js';
import type { TrainConfig } from './config/schema.js';
import type { Learner, StepResult, TrainingState } from './learner.js';
import { placeAfter, type BatchPlace } from './sampler.js';
import { fractionDone, rateFactor } from './schedule.js';
import type { ViewBatch } from './views.js';

/** Figures by their names; one of them is `config.validation.metric`. */
export type Figures = Readonly<Record<string, number>>;

/** What of a config the loop goes by. */
export type LoopConfig = Pick<
  TrainConfig,
  'name' | 'epochs' | 'budget' | 'schedule' | 'validation' | 'earlyStopping' | 'checkpoint'
> & { readonly optimizer: { readonly learningRate: number } };

export interface LoopOptions<Batch extends object = ViewBatch> {
  readonly config: LoopConfig;
  /** See `hashConfig`. */
  readonly hash: string;
  /** Fresh, or loaded from `from`. */
  readonly learner: Learner<Batch>;
  readonly batchesPerEpoch: number;
  /** The batches from `from` on, one after another. */
  readonly nextBatch: () => Promise<Batch>;
  /** Left out, there is no best. */
  readonly validate?: ((state: TrainingState) => Promise<Figures>) | undefined;
  /** Where it goes on; left out, from the beginning. */
  readonly from?: Checkpoint | undefined;
  readonly saveLast: (checkpoint: Checkpoint) => Promise<void>;
  readonly saveBest: (checkpoint: Checkpoint) => Promise<void>;
  readonly onStep: (step: StepDone) => Promise<void>;
  /** Called at the end of each epoch, with what was validated then. */
  readonly onEpoch: (record: Figures) => Promise<void>;
  /** Seconds on a clock that never goes back. */
  readonly now: () => number;
  /** Looked at before every step; a stopped training can go on later. */
  readonly stopping: () => boolean;
}

export interface StepDone extends StepResult {
  readonly step: number;
  readonly totalSteps: number;
  readonly learningRate: number;
  /** 0 to 1, of the steps or of the budget. */
  readonly fraction: number;
  /** Of training, over all its runs. */
  readonly elapsedSeconds: number;
}

export type EndReason = 'epochs' | 'budget' | 'early-stopping' | 'stopped';

export interface LoopResult {
  readonly ended: EndReason;
  readonly last: Checkpoint;
}

/**
 * Trains from where `from` left off until the epochs or the budget are over, nothing gets better, or it is told to
 * stop. Without a budget, what a training that goes on computes is bit for bit what one that never stopped does.
 * @throws NearvoteError `training_diverged` when a loss or gradient is not finite, the last good checkpoint kept
 */
export async function runLoop<Batch extends object = ViewBatch>(
  options: LoopOptions<Batch>,
): Promise<LoopResult> {
  const { config, hash, learner, batchesPerEpoch, validate, from, now } = options;
  const totalSteps = config.epochs * batchesPerEpoch;
  const startedAt = now() - (from?.elapsedSeconds ?? 0);
  let step = from?.step ?? 0;
  let place: BatchPlace = from?.place ?? { epoch: 0, step: 0 };
  let best = from?.best ?? null;
  let withoutBetter = from === undefined ? 0 : validationsSinceBest(from);
  const history = [...(from?.history ?? [])];
  let losses = from === undefined ? noLosses : from.losses;
  let savedAt = now();
  let saved = from;

  const patience = config.earlyStopping?.patience ?? Infinity;

  const checkpoint = (): Checkpoint => {
    const { steps, vectors } = learner.state();
    // A finite gradient times a large rate can still overflow: nothing broken is ever saved.
    if (!Object.values(vectors).every((vector) => vector.every(Number.isFinite))) {
      throw diverged('weights that are not finite', step, saved);
    }
    const elapsedSeconds = now() - startedAt;
    const kept = { config: { name: config.name, hash }, best, history: [...history], losses, place };
    return { ...kept, step: steps, elapsedSeconds, tensors: vectors };
  };
  const save = async (): Promise<void> => {
    if (saved?.step === step && saved.history.length === history.length) return;
    saved = checkpoint();
    await options.saveLast(saved);
    savedAt = now();
  };

  async function endEpoch(learningRate: number, isLast: boolean): Promise<boolean> {
    const { epoch } = place;
    const figures: Record<string, number> = {
      epoch,
      step,
      loss: losses.sum / losses.count,
      learningRate,
      seconds: now() - startedAt,
    };
    losses = noLosses;
    const due = validate !== undefined && (isLast || epoch % config.validation.every === 0);
    if (due) Object.assign(figures, await validate(learner.state()));
    history.push(figures);
    await options.onEpoch(figures);
    if (!due) return false;
    const value = figures[config.validation.metric] ?? NaN;
    if (isBetter(figures, best, history)) {
      best = { metric: config.validation.metric, value, step };
      withoutBetter = 0;
      await options.saveBest(checkpoint());
    } else withoutBetter++;
    await save();
    return withoutBetter >= patience;
  }

  let ended: EndReason | undefined = withoutBetter >= patience ? 'early-stopping' : undefined;
  while (ended === undefined) {
    const elapsedSeconds = now() - startedAt;
    const fraction = fractionDone({ step, totalSteps, elapsedSeconds, budgetSeconds: config.budget });
    if (fraction >= 1) {
      ended = step >= totalSteps ? 'epochs' : 'budget';
      break;
    }
    if (options.stopping()) {
      ended = 'stopped';
      break;
    }
    const learningRate = config.optimizer.learningRate * rateFactor(config.schedule, fraction);
    const batch = await options.nextBatch();
    const result = await learner.step({ ...batch, learningRate });
    step++;
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradientNorm)) {
      throw diverged(`loss ${result.loss} and a gradient of length ${result.gradientNorm}`, step, saved);
    }
    place = placeAfter(place, batchesPerEpoch);
    losses = { sum: losses.sum + result.loss, count: losses.count + 1 };
    await options.onStep({
      ...result,
      step,
      totalSteps,
      learningRate,
      fraction,
      elapsedSeconds: now() - startedAt,
    });
    if (place.step === 0 && (await endEpoch(learningRate, step === totalSteps))) ended = 'early-stopping';
    else if (now() - savedAt >= config.checkpoint.everyMinutes * 60) await save();
  }
  if (ended === 'budget' && losses.count > 0) await endEpoch(0, true);
  await save();
  return { ended, last: saved ?? checkpoint() };
}

const noLosses = { sum: 0, count: 0 };

/** By the best's metric, and where that is equal, as it often is on few images, by MAP@R. */
function isBetter(figures: Figures, best: Checkpoint['best'], history: readonly Figures[]): boolean {
  if (best === null) return true;
  const value = figures[best.metric] ?? NaN;
  if (value !== best.value) return value > best.value;
  const before = history.find(({ step }) => step === best.step);
  return (figures['MAP@R'] ?? NaN) > (before?.['MAP@R'] ?? NaN);
}

/** How many validations have passed since the best one. */
function validationsSinceBest({ best, history }: Checkpoint): number {
  if (best === null) return 0;
  return history.filter((figures) => best.metric in figures && (figures.step ?? 0) > best.step).length;
}

function diverged(what: string, step: number, saved: Checkpoint | undefined): NearvoteError {
  const kept =
    saved === undefined ? 'no checkpoint had been written' : `the checkpoint of step ${saved.step} is kept`;
  return new NearvoteError(
    'training_diverged',
    `Expected a finite loss but step ${step} gave ${what}; ${kept}. Try a lower optimizer.learningRate, ` +
      'a longer schedule.warmUp, or clip: 1',
  );
}
