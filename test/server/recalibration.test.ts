import { describe, expect, it } from 'vitest';
import type { TaughtCalibration } from '../../src/calibrate/taught-aside.js';
import { createRecalibration } from '../../src/server/recalibration.js';

const calibrated = (images: number): TaughtCalibration =>
  ({ images, fittedFor: 'v1', confidence: 'isotonic' }) as unknown as TaughtCalibration;

function recalibrating(calibrate: (share: number) => Promise<TaughtCalibration>) {
  const done: string[] = [];
  const step = (name: string) => () => Promise.resolve(void done.push(name));
  const recalibrate = createRecalibration({
    compact: step('compact'),
    calibrate: ({ share }) => {
      done.push(`calibrate ${share}`);
      return calibrate(share);
    },
    reload: step('reload'),
    logger: { info: () => undefined, error: () => undefined },
  });
  return { recalibrate, done };
}

describe('a recalibration', () => {
  it('is one for all who ask for the same share meanwhile', async () => {
    const { recalibrate, done } = recalibrating((share) => Promise.resolve(calibrated(100 * share)));
    const [one, other] = await Promise.all([
      recalibrate({ share: 1, replace: false }),
      recalibrate({ share: 1, replace: false }),
    ]);
    expect(other).toBe(one);
    expect(done).toEqual(['compact', 'calibrate 1', 'reload']);
    await recalibrate({ share: 1, replace: false });
    expect(done).toHaveLength(6);
  });

  it('of another share comes after the one that is made, and answers for its own', async () => {
    const { recalibrate, done } = recalibrating((share) => Promise.resolve(calibrated(100 * share)));
    const answers = await Promise.all([
      recalibrate({ share: 1, replace: false }),
      recalibrate({ share: 0.5, replace: false }),
    ]);
    expect(answers.map(({ images }) => images)).toEqual([100, 50]);
    expect(done).toEqual(['compact', 'calibrate 1', 'reload', 'compact', 'calibrate 0.5', 'reload']);
  });

  it('that fails keeps nobody from the next', async () => {
    const { recalibrate } = recalibrating((share) =>
      share === 1 ? Promise.reject(new Error('too little')) : Promise.resolve(calibrated(50)),
    );
    const [failed, next] = await Promise.allSettled([
      recalibrate({ share: 1, replace: false }),
      recalibrate({ share: 0.5, replace: false }),
    ]);
    expect(failed.status).toBe('rejected');
    expect(next).toMatchObject({ status: 'fulfilled', value: { images: 50 } });
  });
});
