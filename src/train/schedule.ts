export interface ScheduleOptions {
  /**
   * `cosine` rises in a straight line and falls along half a cosine to `final` (arXiv:1608.03983, without restarts);
   * `one-cycle` rises along half a cosine from a 25th and falls along another (arXiv:1708.07120): PyTorch's OneCycleLR
   * with `anneal_strategy='cos'`, `pct_start` the warm-up, `div_factor` 25 and `final` of `1 / (div_factor
   * final_div_factor)`, of a fraction of the work where PyTorch counts steps.
   */
  readonly kind: 'cosine' | 'one-cycle';
  /** The share of the work in which the rate rises. */
  readonly warmUp: number;
  /** At the end, as a share of the highest rate. */
  readonly final: number;
}

const firstOfCycle = 1 / 25;

/** What a config that does not say it means; of the cycle, PyTorch's. */
export const usualSchedule = {
  cosine: { warmUp: 0.05, final: 0 },
  'one-cycle': { warmUp: 0.3, final: firstOfCycle / 1e4 },
} as const;

/** What the highest learning rate is multiplied by when that fraction of the work, 0 to 1, is done. */
export function rateFactor({ kind, warmUp, final }: ScheduleOptions, fraction: number): number {
  const done = Math.min(1, Math.max(0, fraction));
  if (done >= warmUp) return between(1, final, warmUp === 1 ? 1 : (done - warmUp) / (1 - warmUp));
  return kind === 'cosine' ? done / warmUp : between(firstOfCycle, 1, done / warmUp);
}

/** From one to the other along half a cosine. */
function between(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
}

export interface WorkDone {
  readonly step: number;
  readonly totalSteps: number;
  readonly elapsedSeconds: number;
  readonly budgetSeconds?: number | undefined;
}

/**
 * The fraction of the work that is done, 0 to 1: of the steps or of the time, whichever runs out first, so that a run
 * cut by its budget still anneals.
 */
export function fractionDone({ step, totalSteps, elapsedSeconds, budgetSeconds }: WorkDone): number {
  const ofTime = budgetSeconds === undefined ? 0 : elapsedSeconds / budgetSeconds;
  return Math.min(1, Math.max(step / totalSteps, ofTime));
}
