import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { arePacked, joinFingerprints, packFingerprints, recognise } from '../../src/domain/fingerprints.js';
import { fingerprintsOf, recogniseIn } from '../../src/examples/calibration-file.js';

const keyOf = (name: number): Buffer => createHash('sha256').update(`image ${name}`).digest();
const keys = Array.from({ length: 1_000 }, (_, i) => keyOf(i));
const others = keys.map((_, i) => keyOf(5_000 + i));

describe('fingerprints', () => {
  it('tell the images they were made of from all others', () => {
    const isKnown = recognise(packFingerprints(keys));
    expect(keys.every(isKnown)).toBe(true);
    expect(others.some(isKnown)).toBe(false);
  });

  it('tell them too where the first bytes of the digests are all ones or all noughts', () => {
    const [least, most] = [Buffer.alloc(32), Buffer.alloc(32, 0xff)];
    const isKnown = recognise(packFingerprints([most, ...keys, least]));
    expect([least, most].every(isKnown)).toBe(true);
    expect(recognise(packFingerprints(keys))(most)).toBe(false);
  });

  it('take six bytes an image, equal ones once, whatever the order', () => {
    const packed = packFingerprints(keys);
    expect(packed).toHaveLength(6_000);
    expect(packFingerprints([...keys.toReversed(), ...keys])).toEqual(packed);
  });

  it('of two packs are those of the images of both', () => {
    const joined = joinFingerprints([
      packFingerprints(keys.slice(0, 600)),
      packFingerprints(keys.slice(400)),
    ]);
    expect(joined).toEqual(packFingerprints(keys));
  });

  it('are none for no images', () => {
    expect(recognise(packFingerprints([]))(keyOf(1))).toBe(false);
  });

  it('are told from bytes that were cut short, or are in another order', () => {
    const packed = packFingerprints(keys);
    expect(arePacked(packed)).toBe(true);
    expect(arePacked(packed.subarray(0, 599))).toBe(false);
    expect(arePacked(Buffer.concat([packed.subarray(6), packed.subarray(0, 6)]))).toBe(false);
  });

  it('are eight characters an image in the text of a calibration', () => {
    const text = fingerprintsOf(keys);
    expect(text).toHaveLength(8_000);
    expect([keys.every(recogniseIn(text)), others.some(recogniseIn(text))]).toEqual([true, false]);
  });
});
