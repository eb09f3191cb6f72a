import { createCancellation, type Cancellation } from '../domain/cancellation.js';
import { NearvoteError } from '../domain/errors.js';
import { whenOver, type Exchange } from './exchange.js';

/** Aborts when the client goes away before it has its answer, or has waited too long for it. */
export function abandonSignal({ req, res }: Exchange, timeoutMs: number): Cancellation {
  const { signal, cancel } = createCancellation();
  const timer = setTimeout(() => {
    cancel(new NearvoteError('timed_out', `Expected an answer within ${timeoutMs} ms but it took longer`));
  }, timeoutMs);
  whenOver(req, res, () => {
    clearTimeout(timer);
    if (res.writableFinished) return;
    cancel(new NearvoteError('client_gone', 'The client closed the connection before the answer'));
  });
  return signal;
}

/** What the work gives, or at once the reason why nobody waits for it; what is inside a worker goes on alone. */
export function unlessAbandoned<T>(work: Promise<T>, signal: Cancellation): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(error instanceof Error ? error : new Error('work failed', { cause: error }));
    signal.addEventListener('abort', () => fail(signal.reason));
    work.then(resolve, (error: unknown) => fail(signal.aborted ? signal.reason : error));
  });
}
