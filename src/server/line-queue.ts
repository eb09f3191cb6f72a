/** Lines on their way to a file or a pipe: whoever writes one neither waits nor fails, however slow or full that is. */
export interface LineQueue {
  /** A line without its end. */
  write(line: string): void;
  /** Resolves when every line written until now is delivered or reported lost. */
  flush(): Promise<void>;
  /** Takes back what has not been handed over yet. */
  take(): string[];
}

export interface Delivery {
  /** How many of the lines arrived whole. */
  readonly lines: number;
  /** Why not all of them. */
  readonly error?: Error | undefined;
}

export interface LineQueueOptions {
  /** Called with the lines in order, and not again before it has resolved; it never rejects. */
  readonly deliver: (lines: readonly string[]) => Promise<Delivery>;
  /** How many lines could not be delivered, and why. */
  readonly onLost: (lines: number, error: Error) => void;
  /** Lines that come while this much waits are lost: memory stays bounded. */
  readonly maxPendingBytes: number;
  /** How long a line may wait for others: handing them over one by one costs more than the lines. */
  readonly gatherMs: number;
}

/** Past this, lines are handed over without waiting for more. */
const enoughBytes = 4096;

export function createLineQueue(options: LineQueueOptions): LineQueue {
  const { deliver, onLost, maxPendingBytes, gatherMs } = options;
  let gathered: string[] = [];
  let gatheredBytes = 0;
  let handedBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  let delivering: Promise<void> | undefined;

  function take(): string[] {
    clearTimeout(timer);
    timer = undefined;
    const lines = gathered;
    gathered = [];
    gatheredBytes = 0;
    return lines;
  }

  async function handOver(): Promise<void> {
    while (gathered.length > 0) {
      handedBytes = gatheredBytes;
      const lines = take();
      const { lines: arrived, error } = await deliver(lines);
      handedBytes = 0;
      if (error !== undefined) onLost(lines.length - arrived, error);
    }
  }

  function begin(): void {
    delivering ??= handOver().finally(() => (delivering = undefined));
  }

  return {
    write(line) {
      const bytes = Buffer.byteLength(line) + 1;
      if (gatheredBytes + handedBytes + bytes > maxPendingBytes) {
        onLost(1, new Error(`more than ${maxPendingBytes} bytes wait to be written`));
        return;
      }
      gathered.push(line);
      gatheredBytes += bytes;
      if (gatheredBytes >= enoughBytes) begin();
      // A line alone does not keep a process from ending.
      else timer ??= setTimeout(begin, gatherMs).unref();
    },
    async flush() {
      begin();
      await delivering;
    },
    take,
  };
}
