import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fingerprintsOf, recognise } from '../../src/examples/calibration-file.js';

const keyOf = (name: number): Buffer => createHash('sha256').update(`image ${name}`).digest();
const keys = Array.from({ length: 1_000 }, (_, i) => keyOf(i));

describe('fingerprints', () => {
  it('tell the images they were made of from all others', () => {
    const isKnown = recognise(fingerprintsOf(keys));
    expect(keys.every(isKnown)).toBe(true);
    expect(keys.map((_, i) => keyOf(5_000 + i)).some(isKnown)).toBe(false);
  });

  it('take eight characters an image, whatever the order', () => {
    expect(fingerprintsOf(keys)).toHaveLength(8_000);
    expect(fingerprintsOf(keys.toReversed())).toBe(fingerprintsOf(keys));
  });

  it('are none for no images', () => {
    expect(recognise(fingerprintsOf([]))(keyOf(1))).toBe(false);
  });
});
