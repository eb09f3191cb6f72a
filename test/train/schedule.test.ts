import { describe, expect, it } from 'vitest';
import { parseTrainConfig } from '../../src/train/config/read-config.js';
import { fractionDone, rateFactor, type ScheduleOptions } from '../../src/train/schedule.js';

describe('the cosine schedule', () => {
  const cosine: ScheduleOptions = { kind: 'cosine', warmUp: 0.1, final: 0.2 };

  it('rises in a straight line, then falls along half a cosine', () => {
    const factors = [0, 0.05, 0.1, 0.1 + 0.9 / 3, 0.55, 1].map((fraction) => rateFactor(cosine, fraction));
    // A third of the way the cosine of 60 degrees is a half: three quarters of the fall are left.
    for (const [i, expected] of [0, 0.5, 1, 0.8, 0.6, 0.2].entries())
      expect(factors[i]).toBeCloseTo(expected, 12);
  });

  it('is what the PyTorch recipe computes', () => {
    for (const fraction of [0.02, 0.05, 0.3, 0.77]) {
      const recipe =
        fraction < 0.05 ? fraction / 0.05 : 0.5 * (1 + Math.cos((Math.PI * (fraction - 0.05)) / 0.95));
      expect(rateFactor({ kind: 'cosine', warmUp: 0.05, final: 0 }, fraction)).toBeCloseTo(recipe, 12);
    }
  });

  it('begins at the top without a warm-up, and stays at its ends beyond them', () => {
    expect(rateFactor({ ...cosine, warmUp: 0 }, 0)).toBe(1);
    expect(rateFactor(cosine, 1.3)).toBeCloseTo(0.2, 12);
    expect(rateFactor(cosine, -1)).toBe(0);
  });
});

describe('the one-cycle schedule', () => {
  it('rises from a 25th along half a cosine and falls along the other', () => {
    const cycle: ScheduleOptions = { kind: 'one-cycle', warmUp: 0.4, final: 0 };
    const factors = [0, 0.2, 0.4, 0.7, 1].map((fraction) => rateFactor(cycle, fraction));
    for (const [i, expected] of [0.04, 0.52, 1, 0.5, 0].entries())
      expect(factors[i]).toBeCloseTo(expected, 12);
  });

  it('is, unless told otherwise, what PyTorch computes for every step of a hundred', () => {
    const { schedule } = parseTrainConfig(
      'name: x\ndata: { train: x }\nmodel: { architecture: compact, inputSize: 32 }\nepochs: 1\n' +
        'optimizer: { kind: sgd, learningRate: 1 }\naugment: []\nschedule: { kind: one-cycle }\n',
      'x.yml',
    );
    // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=100): _annealing_cos between the ends of its two phases.
    const [total, pctStart, divFactor, finalDivFactor] = [100, 0.3, 25, 1e4];
    const initial = 1 / divFactor;
    const anneal = (start: number, end: number, pct: number): number =>
      end + ((start - end) / 2) * (1 + Math.cos(Math.PI * pct));
    const [peak, last] = [pctStart * total - 1, total - 1];
    for (let step = 0; step < total; step++) {
      const rises = step <= peak;
      const pct = rises ? step / peak : (step - peak) / (last - peak);
      const expected = rises ? anneal(initial, 1, pct) : anneal(1, initial / finalDivFactor, pct);
      const fraction = rises ? pctStart * pct : pctStart + (1 - pctStart) * pct;
      expect(rateFactor(schedule, fraction)).toBeCloseTo(expected, 12);
    }
  });
});

describe('the fraction of the work', () => {
  it('is that of the steps or of the time, whichever is further', () => {
    expect(fractionDone({ step: 25, totalSteps: 100, elapsedSeconds: 900 })).toBe(0.25);
    expect(fractionDone({ step: 25, totalSteps: 100, elapsedSeconds: 900, budgetSeconds: 1800 })).toBe(0.5);
    expect(fractionDone({ step: 75, totalSteps: 100, elapsedSeconds: 900, budgetSeconds: 1800 })).toBe(0.75);
    expect(fractionDone({ step: 1, totalSteps: 100, elapsedSeconds: 99, budgetSeconds: 9 })).toBe(1);
  });
});
