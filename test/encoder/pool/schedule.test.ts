import { describe, expect, it } from 'vitest';
import { nextAssignment, type ScheduleState, type Seat } from '../../../src/encoder/pool/schedule.js';

/** Two seats that hold so many batches; the first can spread a lone image over every core. */
function state(jobs: readonly [number, number], depth: number): ScheduleState<Seat> {
  const seats = jobs.map((held) => ({ jobs: held }));
  return { seats, wideSeat: seats[0], depth, maxBatch: 16, behind: 4 };
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
    { when: 'two wait and all are idle', of: state([0, 0], 2), expected: '1 to 0' },
    { when: 'one waits and a seat is at work', of: state([1, 0], 1), expected: '1 to 1' },
    { when: 'many wait and all are idle', of: state([0, 0], 20), expected: '10 to 0' },
    { when: 'more wait than two batches hold', of: state([0, 0], 50), expected: '16 to 0' },
    { when: 'few wait and one seat is at work', of: state([1, 0], 3), expected: '3 to 1' },
    { when: 'too few wait to be laid behind others', of: state([1, 1], 3), expected: 'nothing' },
    { when: 'enough wait and all are at work', of: state([1, 1], 5), expected: '3 to 0' },
    { when: 'enough wait and one seat has one behind', of: state([2, 1], 5), expected: '5 to 1' },
    { when: 'a lone image waits and all are at work', of: state([1, 1], 1), expected: 'nothing' },
    { when: 'all hold two batches', of: state([2, 2], 40), expected: 'nothing' },
  ])('sends $expected when $when', ({ of, expected }) => {
    expect(assigned(of)).toBe(expected);
  });

  it('spreads a lone image in a seat apart from the others, if that is free and they are', () => {
    const apart = { jobs: 0 };
    expect(nextAssignment({ ...state([0, 0], 1), wideSeat: apart })).toEqual({
      ...{ seat: apart, count: 1, wide: true },
    });
    expect(assigned({ ...state([0, 0], 1), wideSeat: { jobs: 1 } })).toBe('1 to 0');
    expect(assigned({ ...state([0, 1], 1), wideSeat: apart })).toBe('1 to 0');
  });

  it('gives a lone image to any free seat where none is spread', () => {
    expect(assigned({ ...state([0, 0], 1), wideSeat: undefined })).toBe('1 to 0');
  });

  it('never sends more than the largest batch', () => {
    for (const depth of [1, 2, 5, 9, 100]) {
      const next = nextAssignment({ ...state([0, 0], depth), maxBatch: 2 });
      expect(next?.count).toBeLessThanOrEqual(2);
    }
  });
});
