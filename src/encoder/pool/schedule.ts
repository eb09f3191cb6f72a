/** A seat of the pool, as the schedule sees it. */
export interface Seat {
  /** How many batches it holds. */
  readonly jobs: number;
}

/** What to do with what waits: one batch for one seat. */
export interface Assignment<S extends Seat> {
  readonly seat: S;
  readonly count: number;
  /** On every core, because no other seat is at work. */
  readonly wide: boolean;
}

export interface ScheduleState<S extends Seat> {
  /** Ready to take batches. */
  readonly seats: readonly S[];
  /** The seat that can spread one batch over every core; absent where none can. */
  readonly wideSeat: S | undefined;
  /** Whether what that seat holds was sent wide. */
  readonly wideAtWork: boolean;
  /** Images that wait. */
  readonly depth: number;
  readonly maxBatch: number;
}

/**
 * The largest batch that is spread over every core. A core alone embeds as many images a second from batches of 8 and
 * more; below that two cores on one batch are sooner done than each on half of it (bench/workers.ts).
 */
export const widestBatch = 4;

/**
 * What to send next, or nothing. While few images wait, one batch at a time gets every core: that answers a lone image
 * soonest and leaves no core idle. Once more wait than such a batch holds, each seat takes batches of its own on its
 * own threads, which is the most images a second, until the queue has drained.
 */
export function nextAssignment<S extends Seat>(state: ScheduleState<S>): Assignment<S> | undefined {
  const { seats, wideSeat, wideAtWork, depth, maxBatch } = state;
  if (depth === 0) return undefined;
  const idle = seats.filter(({ jobs }) => jobs === 0);
  const widest = Math.min(widestBatch, maxBatch);
  const few = depth <= widest;
  if (wideSeat !== undefined && few) {
    const allIdle = idle.length === seats.length;
    if (allIdle && seats.includes(wideSeat)) {
      return { seat: wideSeat, count: Math.min(depth, widest), wide: true };
    }
    // Every core is at work on it already: a second batch would only slow it down. A full one is laid behind it.
    if (wideAtWork) {
      return wideSeat.jobs === 1 && depth >= widest
        ? { seat: wideSeat, count: widest, wide: true }
        : undefined;
    }
  }
  const [free] = idle;
  // What has gathered is shared between the seats that are free.
  if (free !== undefined) {
    return { seat: free, count: Math.min(maxBatch, Math.ceil(depth / idle.length)), wide: false };
  }
  // A full batch gains nothing by waiting here: it lies in the seat when that is done with the one before.
  const next = seats.find(({ jobs }) => jobs === 1);
  return next !== undefined && depth >= maxBatch ? { seat: next, count: maxBatch, wide: false } : undefined;
}
