import type { Logger } from 'pino';
import { codeOf, problemKinds } from './problems.js';

/** What every request fails by until somebody mends it. */
const lasting = 'database_unreachable';
const everyMs = 60_000;

/**
 * Logs failures that the client is told nothing of. While the database of an index is gone each request fails alike, hundreds
 * a second: one in a minute is a line with its stack, which counts those before it that were none.
 * @param now in milliseconds
 */
export function createFailureLog(
  logger: Pick<Logger, 'error'>,
  now: () => number,
): (error: unknown, requestId: string) => void {
  let loggedAt = -Infinity;
  let alike = 0;
  return (err, requestId) => {
    const code = codeOf(err);
    if (problemKinds[code].detail !== 'hidden') return;
    if (code !== lasting) {
      logger.error({ err, requestId }, 'request failed');
      return;
    }
    if (now() - loggedAt < everyMs) {
      alike++;
      return;
    }
    loggedAt = now();
    logger.error(
      { err, requestId, alike },
      'request failed; others that fail alike are counted for a minute',
    );
    alike = 0;
  };
}
