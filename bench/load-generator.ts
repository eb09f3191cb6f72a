/* The process that sends the load; bench/load.ts starts it. */
import { setPriority } from 'node:os';
import { answerParent } from './child.js';
import { runClosedLoop } from './closed-loop.js';
import { seededRandom } from './drawn-images.js';
import { runOpenLoop } from './open-loop.js';

/** Said once, before anything else. */
export interface LoadTarget {
  readonly type: 'target';
  readonly url: string;
  readonly serverPid: number;
  readonly contentType: string;
  readonly bodies: readonly Uint8Array[];
}

export interface ClosedLoad {
  readonly type: 'closed';
  readonly connections: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
}

export interface OpenLoad {
  readonly type: 'open';
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly seed: number;
}

export type LoadRequest = LoadTarget | ClosedLoad | OpenLoad;

let target: (Omit<LoadTarget, 'bodies'> & { readonly bodies: readonly Buffer[] }) | undefined;
try {
  // A client on another machine would not wait for this one's cores.
  setPriority(-10);
} catch {
  // Without the privilege it waits in turn.
}
// Each load goes on with the images after the last one's.
let next = 0;

answerParent(async (message) => {
  const load = message as LoadRequest;
  if (load.type === 'target') {
    const bodies = load.bodies.map((body) => Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    target = { ...load, bodies };
    return undefined;
  }
  if (target === undefined) throw new Error('Expected a target before the first load');
  const { bodies } = target;
  const first = next;
  if (load.type === 'closed') {
    const rotated = [...bodies.slice(first), ...bodies.slice(0, first)];
    const result = await runClosedLoop({ ...target, ...load, bodies: rotated });
    next = (first + result.answered) % bodies.length;
    return result;
  }
  const result = await runOpenLoop({
    ...target,
    ...load,
    body: (n) => bodies[(first + n) % bodies.length] ?? Buffer.alloc(0),
    random: seededRandom(load.seed),
  });
  next = (first + result.status.length) % bodies.length;
  return result;
});
