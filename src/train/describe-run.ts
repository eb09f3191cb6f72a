import type { EndReason, Figures, StepDone } from './loop.js';

/** A duration to read: `1 h 05 min`, `3 min 20 s`, `8 s`. */
export function inTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, '0')} min`;
  return minutes > 0 ? `${minutes} min ${String(whole % 60).padStart(2, '0')} s` : `${whole} s`;
}

export interface StepLineOptions extends StepDone {
  readonly imagesPerSecond: number;
}

/** Where a training is, as a line of the log. */
export function stepLine(step: StepLineOptions): string {
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
