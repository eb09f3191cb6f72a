import { longestTimerMs } from '../domain/duration.js';
import { NearvoteError } from '../domain/errors.js';
import { openChannel, type Channel } from './channel.js';
import type { ChildMessage } from './child.js';
import type { Frame } from './frames.js';

export interface SupervisedChildOptions<Ready> {
  /** Its compiled module; it calls `answerParent`. */
  readonly file: URL;
  /** Sent to each process before anything else; the same to a replacement. */
  readonly setup: unknown;
  /** A job that takes longer is taken for hung: the process is killed and replaced. */
  readonly jobDeadlineMs: number;
  /** Of the JavaScript heap; tensors and graphs lie outside it. A process that needs more is running away. */
  readonly heapMegabytes: number;
  /** How much nicer than this process it is, 0 to 19: what is long gives way to what is short. */
  readonly nice: number;
  /** Starts with what others leave of the cores, until `stopYielding`. */
  readonly yielding: boolean;
  /** Of the first setup beside others, who wait for it with what they do next; half an hour unless told. */
  readonly firstSetupDeadlineMs?: number | undefined;
  /** How long silence is no sign; 3 s unless told. */
  readonly silentMs?: number | undefined;
  /** How often an idle process is asked whether it still answers; each second unless told. */
  readonly pingEveryMs?: number | undefined;
  /** Called with what each process told when it was set up, before it takes a job. */
  readonly onSetUp?: ((ready: Ready) => void) | undefined;
  /** Called when it could take a job after a time in which it could not. */
  readonly onReady: () => void;
  /** Called when a process that was not told to stop has ended, or its replacement could not be set up. */
  readonly onRestart: (reason: string) => void;
}

/** A process that does jobs one after another, and its replacement whenever it dies. */
export interface SupervisedChild<Ready> {
  /** Set up, alive, and answering. */
  readonly ready: boolean;
  /** It cannot be set up any more, or does not answer: waiting for it is of no use. */
  readonly failing: boolean;
  /** How many jobs it holds: the one it works on, and those that wait for it there. */
  readonly jobs: number;
  /** Resolves when the first process is set up. @throws what its setup threw; later failures are retried */
  readonly started: Promise<Ready>;
  /** @throws NearvoteError `worker_failed`, its cause saying why */
  run(job: Frame): Promise<Frame>;
  stopYielding(): void;
  /** Resolves when it holds no job. */
  drained(): Promise<void>;
  stop(): void;
}

/** The compiled module beside the one at `from`: where tests and benches run TypeScript, a process runs what was built. */
export function compiledModule(name: string, from: string): URL {
  return new URL(name, from.replace(/\/src\/(.*)\.ts$/, '/dist/$1.js'));
}

const firstRetryMs = 100;
const lastRetryMs = 5_000;

const defaultPingEveryMs = 1_000;
/** What takes longer than this, and ten times what anything took so far, is not answering. */
const defaultSilentMs = 3_000;
/** Long enough to derive the graph of a million examples on what others leave of the cores. */
const defaultFirstSetupDeadlineMs = 30 * 60_000;

interface Flight {
  /** When the process took it: when it was sent, or the one before it ended. */
  takenAt: number;
  resolve(reply: Frame): void;
  reject(error: Error): void;
}

/** Starts a process and keeps one running. */
export function superviseChild<Ready>(options: SupervisedChildOptions<Ready>): SupervisedChild<Ready> {
  let channel: Channel | undefined;
  let ready = false;
  let everReady = false;
  let stopped = false;
  const { silentMs = defaultSilentMs, pingEveryMs = defaultPingEveryMs } = options;
  let { yielding } = options;
  /** What the latest setup failed with. */
  let setupFailure: string | undefined;
  let setupDeadline: NodeJS.Timeout | undefined;
  let openedAt = 0;
  let firstSetupMs = 0;
  /** Of the jobs that this process has answered. */
  let longestMs = 0;
  let pingSentAt: number | undefined;
  let nextJob = 0;
  let retryMs = firstRetryMs;
  let retryTimer: NodeJS.Timeout | undefined;
  /** In the order in which the process takes them. */
  const flights = new Map<number, Flight>();
  let deadline: NodeJS.Timeout | undefined;
  const waitingForDrain: (() => void)[] = [];
  const start = withResolvers<Ready>();

  function open(): void {
    const own = openChannel(options, {
      onMessage: (message, parts) => {
        if (own === channel) onMessage(message, parts);
      },
      onExit: (reason) => {
        if (own === channel) onExit(reason);
      },
    });
    channel = own;
    openedAt = performance.now();
    if (yielding) own.yieldCores(true);
    const setupMs = longestSetupMs();
    if (setupMs !== undefined) setupDeadline = setTimeout(() => own.kill(), setupMs);
    own.send({ type: 'setup', setup: options.setup });
  }

  /** How long a replacement may take is known; how long the first, only where others wait for it. */
  function longestSetupMs(): number | undefined {
    if (everReady) return Math.min(options.jobDeadlineMs + 10 * firstSetupMs, longestTimerMs);
    return yielding ? (options.firstSetupDeadlineMs ?? defaultFirstSetupDeadlineMs) : undefined;
  }

  function onMessage(message: ChildMessage, parts: Frame['parts']): void {
    switch (message.type) {
      case 'ready':
        clearTimeout(setupDeadline);
        if (!everReady) firstSetupMs = performance.now() - openedAt;
        ready = everReady = true;
        setupFailure = undefined;
        longestMs = 0;
        retryMs = firstRetryMs;
        options.onSetUp?.(message.ready as Ready);
        start.resolve(message.ready as Ready);
        return options.onReady();
      case 'pong':
        pingSentAt = undefined;
        return options.onReady();
      case 'done':
        return answered(message.job)?.resolve({ words: message.words, parts });
      case 'failed':
        if (message.job === undefined)
          return onSetupFailure(new NearvoteError(message.code, message.message));
        return answered(message.job)?.reject(failedJob(message.message));
    }
  }

  function onSetupFailure(error: NearvoteError): void {
    if (!everReady) return fail(error);
    setupFailure = `${error.message} [${error.code}]`;
    channel?.kill();
  }

  function onExit(reason: string): void {
    if (!ready) setupFailure ??= reason;
    ready = false;
    channel = undefined;
    pingSentAt = undefined;
    clearTimeout(setupDeadline);
    for (const job of [...flights.keys()]) land(job)?.reject(failedJob(`it ended (${reason})`));
    if (stopped) return;
    if (!everReady) {
      return fail(new NearvoteError('worker_failed', `The worker ended while starting (${reason})`));
    }
    options.onRestart(setupFailure ?? reason);
    retryTimer = setTimeout(open, retryMs);
    retryMs = Math.min(retryMs * 2, lastRetryMs);
  }

  function fail(error: NearvoteError): void {
    stopped = true;
    clearInterval(pinging);
    start.reject(error);
    channel?.kill();
  }

  /** A job that a killed process held says nothing of how long jobs take. */
  function answered(job: number): Flight | undefined {
    const flight = land(job);
    if (flight !== undefined) longestMs = Math.max(longestMs, performance.now() - flight.takenAt);
    return flight;
  }

  function land(job: number): Flight | undefined {
    const flight = flights.get(job);
    if (flight === undefined) return undefined;
    flights.delete(job);
    const [next] = flights.values();
    if (next !== undefined) next.takenAt = performance.now();
    watchDeadline();
    if (flights.size === 0) for (const resolve of waitingForDrain.splice(0)) resolve();
    return flight;
  }

  /** Anew for each job, from when the process takes it. */
  function watchDeadline(): void {
    clearTimeout(deadline);
    if (flights.size > 0) deadline = setTimeout(() => channel?.kill(), options.jobDeadlineMs);
  }

  /** A stopped process holds its pipe open and takes what is sent: only silence tells. */
  function isSilent(): boolean {
    const [oldest] = flights.values();
    const since = oldest?.takenAt ?? pingSentAt;
    return since !== undefined && performance.now() - since > Math.max(silentMs, 10 * longestMs);
  }

  const pinging = setInterval(() => {
    if (!ready || flights.size > 0) return;
    if (pingSentAt === undefined) {
      pingSentAt = performance.now();
      channel?.send({ type: 'ping' });
    } else if (performance.now() - pingSentAt > options.jobDeadlineMs) channel?.kill();
  }, pingEveryMs);
  pinging.unref();

  open();
  return {
    get jobs() {
      return flights.size;
    },
    get ready() {
      return ready && !isSilent();
    },
    get failing() {
      return stopped || setupFailure !== undefined || (ready && isSilent());
    },
    started: start.promise,
    run: ({ words, parts }) =>
      new Promise((resolve, reject) => {
        if (channel === undefined || !ready) {
          reject(failedJob('it is being replaced'));
          return;
        }
        const job = nextJob++;
        flights.set(job, { takenAt: performance.now(), resolve, reject });
        if (flights.size === 1) watchDeadline();
        channel.send({ type: 'job', job, words }, parts);
      }),
    stopYielding: () => {
      yielding = false;
      channel?.yieldCores(false);
    },
    drained: () =>
      flights.size === 0 ? Promise.resolve() : new Promise((resolve) => waitingForDrain.push(resolve)),
    stop: () => {
      stopped = true;
      ready = false;
      clearTimeout(retryTimer);
      clearTimeout(setupDeadline);
      clearInterval(pinging);
      channel?.kill();
    },
  };
}

/** What a client is told; the reason is for the log. */
function failedJob(reason: string): NearvoteError {
  return new NearvoteError('worker_failed', 'The worker failed at this job', { cause: new Error(reason) });
}

/** Promise.withResolvers came with Node 22. */
function withResolvers<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
