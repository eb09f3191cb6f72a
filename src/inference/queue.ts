import { NearvoteError } from '../domain/errors.js';
import type { InferOptions, Inferred } from './inference.js';

/** One image waiting for, or inside, a worker. */
export interface Entry {
  readonly pixels: Uint8Array;
  readonly options: InferOptions;
  readonly queuedAt: number;
  resolve(inferred: Inferred): void;
  reject(error: Error): void;
}

export interface EntryQueue {
  readonly depth: number;
  /** Resolves when a worker has answered. @throws NearvoteError `overloaded` when full, `client_gone` when aborted */
  push(pixels: Uint8Array, options: InferOptions): Promise<Inferred>;
  /** Takes up to `most` of the oldest entries, in order. */
  take(most: number): Entry[];
  rejectAll(error: Error): void;
}

/** A first-in, first-out queue bounded in images; an aborted entry leaves it at once. */
export function createEntryQueue(capacity: number, onPush: () => void): EntryQueue {
  // A Set keeps insertion order and lets an aborted entry leave from the middle in O(1).
  const waiting = new Set<Entry>();
  return {
    get depth() {
      return waiting.size;
    },
    push: (pixels, options) =>
      new Promise<Inferred>((resolve, reject) => {
        const { signal } = options;
        if (signal?.aborted === true) return reject(goneError());
        if (waiting.size >= capacity) {
          return reject(
            new NearvoteError('overloaded', `Expected at most ${capacity} images waiting; try again later`),
          );
        }
        const leave = (): void => {
          if (waiting.delete(entry)) reject(goneError());
        };
        const settled = (): void => signal?.removeEventListener('abort', leave);
        const entry: Entry = {
          pixels,
          options,
          queuedAt: performance.now(),
          resolve: (inferred) => (settled(), resolve(inferred)),
          reject: (error) => (settled(), reject(error)),
        };
        signal?.addEventListener('abort', leave);
        waiting.add(entry);
        onPush();
      }),
    take: (most) => {
      const taken: Entry[] = [];
      for (const entry of waiting) {
        if (taken.length === most) break;
        taken.push(entry);
        waiting.delete(entry);
      }
      return taken;
    },
    rejectAll: (error) => {
      for (const entry of waiting) {
        waiting.delete(entry);
        entry.reject(error);
      }
    },
  };
}

function goneError(): NearvoteError {
  return new NearvoteError('client_gone', 'The client went away before its image was classified');
}
