import { describe, expect, it } from 'vitest';

import { createAdmission, type Admission } from '../../src/server/admission.js';

const overloaded = expect.objectContaining({ code: 'overloaded' }) as Error;

function createTimed(limits: { maxImages?: number; maxBytes?: number }) {
  const clock = { ms: 0 };
  const admission = createAdmission({ maxImages: 4, maxBytes: 100, ...limits, now: () => clock.ms });
  return { admission, clock };
}

function held({ images, bytes }: Admission) {
  return { images, bytes };
}

describe('admission', () => {
  it('counts one image and many alike, and refuses the one too many whole', () => {
    const { admission } = createTimed({ maxImages: 4 });
    const one = admission.enter();
    const many = admission.enter();
    many.holdImages(3);
    expect(admission.images).toBe(4);
    expect(() => admission.enter()).toThrow(overloaded);
    expect(() => one.holdImages(2)).toThrow(overloaded);
    expect(admission.images).toBe(4);
    many.imageDone();
    one.holdImages(2);
    expect(admission.images).toBe(4);
  });

  it('tells beforehand what the next request would be refused with', () => {
    const { admission } = createTimed({ maxImages: 1 });
    expect(admission.refusal).toBeUndefined();
    const only = admission.enter();
    expect(admission.refusal).toEqual(overloaded);
    only.leave();
    expect(admission.refusal).toBeUndefined();
  });

  it('holds bytes to the last one, announced or grown, and a refused byte is not held', () => {
    const { admission } = createTimed({ maxBytes: 100 });
    const grown = admission.enter();
    for (const total of [10, 40, 60, 50]) grown.holdBytes(total);
    expect(admission.bytes).toBe(60);
    const announced = admission.enter();
    announced.holdBytes(40);
    expect(() => announced.holdBytes(41)).toThrow(overloaded);
    expect(admission.bytes).toBe(100);
    grown.leave();
    expect(held(admission)).toEqual({ images: 1, bytes: 40 });
  });

  it('ends at exactly nothing, in whatever order a request gives back', () => {
    const { admission } = createTimed({ maxImages: 400, maxBytes: 10_000 });
    for (let i = 0; i < 300; i++) {
      const admitted = admission.enter();
      if (i % 2 === 0) admitted.holdBytes(i);
      if (i % 3 === 0) admitted.holdImages(5);
      for (let done = 0; done < i % 7; done++) admitted.imageDone();
      admitted.leave();
      admitted.leave();
      admitted.imageDone();
    }
    expect(held(admission)).toEqual({ images: 0, bytes: 0 });
  });

  it('says to come back when what is inside has drained at the measured rate', () => {
    const { admission, clock } = createTimed({ maxImages: 1000 });
    expect(admission.retryAfterSeconds).toBe(1);
    const held100 = admission.enter();
    held100.holdImages(120);
    for (let i = 0; i < 19; i++) held100.imageDone();
    clock.ms = 2000;
    held100.imageDone();
    // 20 in 2 s is 10 a second; 100 are inside.
    expect(admission.retryAfterSeconds).toBe(10);
    held100.holdImages(900);
    expect(admission.retryAfterSeconds).toBe(60);
    held100.leave();
    expect(admission.retryAfterSeconds).toBe(1);
  });
});
