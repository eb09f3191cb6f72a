/** What of an `AbortSignal` is listened to here; one is a Cancellation. */
export interface Cancellation {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface CancellationSource {
  readonly signal: Cancellation;
  /** Tells every listener once; the first reason stays. */
  readonly cancel: (reason: Error) => void;
}

/** An AbortController for a request that is mostly not aborted: without events it costs a tenth. */
export function createCancellation(): CancellationSource {
  let why: Error | undefined;
  const listeners = new Set<() => void>();
  return {
    signal: {
      get aborted() {
        return why !== undefined;
      },
      get reason() {
        return why;
      },
      throwIfAborted: () => {
        if (why !== undefined) throw why;
      },
      addEventListener: (_type, listener) => void listeners.add(listener),
      removeEventListener: (_type, listener) => void listeners.delete(listener),
    },
    cancel: (reason) => {
      if (why !== undefined) return;
      why = reason;
      for (const listener of listeners) listener();
      listeners.clear();
    },
  };
}
