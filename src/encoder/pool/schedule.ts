/** A seat of the pool, as the schedule sees it. */
export interface Seat {
  /** How many batches it holds. */
  readonly jobs: number;
}

/** What to do with what waits: one batch for one seat. */
export interface Assignment<S extends Seat> {
  readonly seat: S;
  readonly count: number;
  /** On every core, because nothing else is at work. */
  readonly wide: boolean;
}

export interface ScheduleState<S extends Seat> {
  /** Ready to take batches. */
  readonly seats: readonly S[];
  /** The seat that can spread a lone image over every core; absent where none can. */
  readonly wideSeat: S | undefined;
  /** Images that wait. */
  readonly depth: number;
  readonly maxBatch: number;
  /** The smallest batch that is laid in a seat behind the one at work. */
  readonly behind: number;
}

/**
 * What to send next, or nothing. A lone image gets every core; as soon as there are more, each seat takes batches of its
 * own on its own threads, which is the most images a second (bench/workers.ts).
 */
export function nextAssignment<S extends Seat>(state: ScheduleState<S>): Assignment<S> | undefined {
  const { seats, wideSeat, depth, maxBatch, behind } = state;
  if (depth === 0) return undefined;
  const idle = seats.filter(({ jobs }) => jobs === 0);
  if (depth === 1 && wideSeat?.jobs === 0 && idle.length === seats.length) {
    return { seat: wideSeat, count: 1, wide: true };
  }
  const [free] = idle;
  // What has gathered is shared between the seats that are free.
  if (free !== undefined) {
    return { seat: free, count: Math.min(maxBatch, Math.ceil(depth / idle.length)), wide: false };
  }
  // It lies in the seat when that is done with the one before, and no core waits for the next.
  const next = seats.filter(({ jobs }) => jobs === 1);
  const [first] = next;
  if (first === undefined || depth < behind) return undefined;
  return { seat: first, count: Math.min(maxBatch, Math.ceil(depth / next.length)), wide: false };
}
