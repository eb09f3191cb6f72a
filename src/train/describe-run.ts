import type { Progress } from '../domain/progress.js';
import type { EndReason, Figures, StepDone } from './loop.js';

/** Where a training tells of itself in lines. */
export interface Narration {
  /** A line to keep. */
  readonly say: (line: string) => void;
  /** How far it is just now, in place of what was shown before; undefined takes that away. */
  readonly show: (line: string | undefined) => void;
}

/** Where a training tells how far it is. */
export interface Told {
  readonly progress: Progress;
  readonly narration: Narration;
}

/** A duration to read: `1 h 05 min`, `3 min 20 s`, `8 s`. */
export function inTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, '0')} min`;
  return minutes > 0 ? `${minutes} min ${String(whole % 60).padStart(2, '0')} s` : `${whole} s`;
}

interface StepLineOptions extends StepDone {
  readonly imagesPerSecond: number;
}

/** Where a training is, as a line of the log. */
function stepLine(step: StepLineOptions): string {
  return [
    `step ${step.step}/${step.totalSteps}`,
    `loss ${step.loss.toFixed(4)}`,
    `rate ${step.learningRate.toPrecision(3)}`,
    `${step.imagesPerSecond.toPrecision(3)} images/s`,
    timeLeft(step.elapsedSeconds, step.fraction),
  ].join('  ');
}

function timeLeft(seconds: number, fraction: number): string {
  return fraction > 0 ? `${inTime((seconds / fraction) * (1 - fraction))} left` : '';
}

export interface EpochLineOptions {
  readonly figures: Figures;
  readonly epochs: number;
  /** 0 to 1, of the whole training. */
  readonly fraction: number;
}

/** One epoch as a line of the log. */
export function epochLine({ figures, epochs, fraction }: EpochLineOptions): string {
  const { epoch = 0, loss = NaN, learningRate = NaN, seconds = 0, ...others } = figures;
  const validated = Object.entries(others)
    .filter(([name]) => name !== 'step')
    .map(([name, value]) => `${name} ${value.toFixed(4)}`);
  return [
    `epoch ${epoch}/${epochs}`,
    `loss ${loss.toFixed(4)}`,
    `rate ${learningRate.toPrecision(3)}`,
    ...validated,
    `after ${inTime(seconds)}, ${timeLeft(seconds, fraction)}`,
  ].join('  ');
}

export const endings: Readonly<Record<EndReason, string>> = {
  epochs: 'all epochs are done',
  budget: 'the budget is spent',
  'early-stopping': 'nothing got better',
  stopped: 'it was told to stop; the same command goes on from here',
};

/** An epoch can take many minutes. */
const secondsBetweenLines = 30;

export interface StepReportOptions {
  /** Images a step. */
  readonly batch: number;
  /** Seconds of training before the first step that is told. */
  readonly elapsedSeconds: number;
  readonly say: (line: string) => Promise<void>;
  readonly show: Narration['show'];
}

/** Tells of steps: says a line twice a minute and shows the others. Loss and rate are means over the steps since the line before. */
export function createStepReport(options: StepReportOptions): (step: StepDone) => Promise<void> {
  const { batch, say, show } = options;
  let told = { at: options.elapsedSeconds, loss: 0, steps: 0 };
  return async (step) => {
    told.loss += step.loss;
    told.steps++;
    const seconds = step.elapsedSeconds - told.at;
    const loss = told.loss / told.steps;
    const line = stepLine({ ...step, loss, imagesPerSecond: (told.steps * batch) / seconds });
    if (seconds < secondsBetweenLines) return show(line);
    told = { at: step.elapsedSeconds, loss: 0, steps: 0 };
    await say(line);
  };
}
