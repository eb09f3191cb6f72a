import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { createServing, servingClassifier } from '../../src/server/serving.js';
import { createColourClassifier } from './colour-classifier.js';

describe('what work holds', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is waited for, and given up after as long as was said', async () => {
    const [{ holds }] = createServing(['colours']).indexes;
    const classifier = createColourClassifier();
    expect(await holds.none(classifier, 0)).toBe(true);
    holds.add(classifier);
    holds.add(classifier);
    const patient = holds.none(classifier);
    const hasty = holds.none(classifier, 30_000);
    vi.advanceTimersByTime(30_000);
    expect(await hasty).toBe(false);
    holds.remove(classifier);
    const second = holds.none(classifier, 30_000);
    holds.remove(classifier);
    expect([await patient, await second]).toEqual([true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a request while no worker is there', () => {
  it('waits for one that is being replaced, and is refused at once where none has come for two seconds', () => {
    let now = 5000;
    const [served] = createServing(['colours'], () => now).indexes;
    served.classifier = createColourClassifier();
    let ready = false;
    served.workersReady = () => ready;
    const refused = expect.objectContaining({ code: 'not_ready' }) as Error;
    expect(servingClassifier(served)).toBe(served.classifier);
    now += 2000;
    expect(servingClassifier(served)).toBe(served.classifier);
    now += 1;
    expect(() => servingClassifier(served)).toThrow(refused);
    ready = true;
    expect(servingClassifier(served)).toBe(served.classifier);
    // Another death, much later.
    ready = false;
    now += 60_000;
    expect(servingClassifier(served)).toBe(served.classifier);
  });
});
