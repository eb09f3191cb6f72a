import { expect, it } from 'vitest';
import { NearvoteError } from '../../src/domain/errors.js';
import { createFailureLog } from '../../src/server/failure-log.js';

it('gives a database that is gone one line a minute, which counts the others, and every other failure its own', () => {
  const lines: { requestId: string; alike?: number }[] = [];
  let now = 0;
  const log = createFailureLog({ error: (line: (typeof lines)[number]) => void lines.push(line) }, () => now);
  const gone = new NearvoteError('database_unreachable', 'Expected PostgreSQL to answer in time');
  for (let i = 0; i < 300; i++) log(gone, `gone ${i}`);
  log(new Error('a bug'), 'bug 1');
  log(new Error('a bug'), 'bug 2');
  log(new NearvoteError('query_invalid', 'Expected k to be a number'), 'shown to the client');
  now = 60_000;
  log(gone, 'a minute later');
  log(gone, 'just after that');
  expect(lines).toMatchObject([
    { requestId: 'gone 0', alike: 0 },
    { requestId: 'bug 1' },
    { requestId: 'bug 2' },
    { requestId: 'a minute later', alike: 299 },
  ]);
});
