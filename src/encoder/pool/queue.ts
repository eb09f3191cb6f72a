import type { Cancellation } from '../../domain/cancellation.js';
import { NearvoteError } from '../../domain/errors.js';

/** What came back for one image. */
export interface Embedded {
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
  readonly queueMs: number;
  /** Of its whole batch. */
  readonly encodeMs: number;
  readonly batchSize: number;
}

/** One image waiting for, or inside, a worker. */
export interface Entry {
  /** uint8 RGB `[height, width, 3]` */
  readonly pixels: Uint8Array;
  readonly queuedAt: number;
  resolve(embedded: Embedded): void;
  reject(error: Error): void;
}

export interface EntryQueue {
  readonly depth: number;
  /** Resolves when a worker has answered. @throws NearvoteError `overloaded` when full, `client_gone` when aborted */
  push(pixels: Uint8Array, signal: Cancellation | undefined): Promise<Embedded>;
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
    push: (pixels, signal) =>
      new Promise<Embedded>((resolve, reject) => {
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
          queuedAt: performance.now(),
          resolve: (embedded) => (settled(), resolve(embedded)),
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
