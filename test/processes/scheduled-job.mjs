// Run by run-aside.test.ts: tells how each of its threads is scheduled, or fails where it is told to.
import { readdirSync, readFileSync } from 'node:fs';
import { NearvoteError } from '../../dist/domain/errors.js';
import { answerRunAside } from '../../dist/processes/answer-run-aside.js';

/** proc_pid_stat(5): the 41st field, of those after the name the 39th. */
const policyOf = (thread) =>
  Number(readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ').at(-1).split(' ')[38]);

answerRunAside((job) => {
  if (job.refuses) throw new NearvoteError('output_unwritable', 'no room');
  if (job.fails) throw new Error('as it was told');
  return Promise.resolve(readdirSync('/proc/self/task').map(policyOf));
});
