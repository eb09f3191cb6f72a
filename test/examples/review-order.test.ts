import { describe, expect, it } from 'vitest';
import { mostUsefulFirst } from '../../src/examples/review-order.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const at = (
  degrees: number,
  uncertainty: number,
): { degrees: number; uncertainty: number; embedding: Float32Array } => ({
  ...{ degrees, uncertainty },
  embedding: onCircle([degrees]).values,
});

const order = (candidates: readonly ReturnType<typeof at>[], limit: number): number[] =>
  mostUsefulFirst(candidates, limit).map(({ degrees }) => degrees);

describe('the order of a review', () => {
  it('begins with the most uncertain image', () => {
    expect(order([at(0, 0.3), at(10, 0.9), at(20, 0.5)], 1)).toEqual([10]);
  });

  it('goes on with what is far from all that came before, as k-centre greedy does', () => {
    // Equally uncertain: 180 is farthest from 0, then 90 is 90 away from both, then 45 and 135 are 45 away.
    const candidates = [at(0, 0.5), at(45, 0.5), at(90, 0.5), at(135, 0.5), at(180, 0.5)];
    expect(order(candidates, 5)).toEqual([0, 180, 90, 45, 135]);
  });

  it('shows one of twenty pictures of one thing before the one picture of another, and the rest after it', () => {
    const same = Array.from({ length: 20 }, (_, i) => at(i / 10, 0.9 - i / 1000));
    expect(order([...same, at(90, 0.4)], 3)).toEqual([0, 90, 1.9]);
  });

  it('weighs the distance by the uncertainty', () => {
    // From 0: 90 degrees are a distance of 1, 180 of 2; 0.9 x 1 is more than 0.4 x 2.
    expect(order([at(0, 1), at(180, 0.4), at(90, 0.9)], 2)).toEqual([0, 90]);
  });

  it('gives all there are where they are fewer than were asked for, and copies too', () => {
    expect(order([at(0, 0.5), at(0, 0.5)], 9)).toEqual([0, 0]);
    expect(order([], 9)).toEqual([]);
  });

  it('lists what another encoder has embedded, which can be compared with nothing', () => {
    const wide = { degrees: 7, uncertainty: 0.5, embedding: Float32Array.of(1, 0, 0) };
    expect(order([at(0, 0.9), at(0, 0.9), wide], 3)).toEqual([0, 7, 0]);
  });
});
