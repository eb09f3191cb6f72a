import { describe, expect, it } from 'vitest';
import { nextAssignment, type ScheduleState, type Seat } from '../../../src/encoder/pool/schedule.js';

/** Two seats that hold so many batches; the first can spread one over every core. */
function state(jobs: readonly [number, number], depth: number, wideAtWork = false): ScheduleState<Seat> {
  const seats = jobs.map((held) => ({ jobs: held }));
  return { seats, wideSeat: seats[0], wideAtWork, depth, maxBatch: 16 };
}

/** Which seat gets how many, and how. */
function assigned(of: ScheduleState<Seat>): string {
  const next = nextAssignment(of);
  if (next === undefined) return 'nothing';
  return `${next.count} to ${of.seats.indexOf(next.seat)}${next.wide ? ' wide' : ''}`;
}

describe('what the pool sends next', () => {
  it.each([
    { when: 'nothing waits', of: state([0, 0], 0), expected: 'nothing' },
    { when: 'one waits and all are idle', of: state([0, 0], 1), expected: '1 to 0 wide' },
    { when: 'few wait and all are idle', of: state([0, 0], 4), expected: '4 to 0 wide' },
    { when: 'one more waits while every core is at work', of: state([1, 0], 1, true), expected: 'nothing' },
    {
      when: 'a full wide batch waits behind a wide one',
      of: state([1, 0], 4, true),
      expected: '4 to 0 wide',
    },
    { when: 'two wide batches are there already', of: state([2, 0], 4, true), expected: 'nothing' },
    { when: 'many wait and all are idle', of: state([0, 0], 20), expected: '10 to 0' },
    { when: 'many wait behind a wide batch', of: state([1, 0], 20, true), expected: '16 to 1' },
    { when: 'few wait and one seat is at work on its own', of: state([1, 0], 3), expected: '3 to 1' },
    { when: 'less than a batch waits and all are at work', of: state([1, 1], 15), expected: 'nothing' },
    { when: 'a batch waits and all are at work', of: state([1, 1], 16), expected: '16 to 0' },
    { when: 'all hold two batches', of: state([2, 2], 40), expected: 'nothing' },
  ])('sends $expected when $when', ({ of, expected }) => {
    expect(assigned(of)).toBe(expected);
  });

  it('uses the seats that are ready when the wide one is being replaced', () => {
    const seat = { jobs: 0 };
    const next = nextAssignment({
      ...{ seats: [seat], wideSeat: { jobs: 0 }, wideAtWork: false, depth: 2, maxBatch: 16 },
    });
    expect(next).toEqual({ seat, count: 2, wide: false });
  });

  it('never sends more than the largest batch, wide or not', () => {
    for (const depth of [1, 2, 5, 9, 100]) {
      const next = nextAssignment({ ...state([0, 0], depth), maxBatch: 2 });
      expect(next?.count).toBeLessThanOrEqual(2);
    }
  });
});
