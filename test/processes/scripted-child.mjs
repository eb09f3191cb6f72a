/* A real child of superviseChild that does what its setup and its jobs say: node runs it beside what was built. */
import { existsSync } from 'node:fs';
import { answerParent } from '../../dist/processes/child.js';

function hang() {
  for (;;);
}

answerParent({
  setUp: async ({ greeting, hangWhere, failWhere }) => {
    if (hangWhere !== undefined && existsSync(hangWhere)) hang();
    if (failWhere !== undefined && existsSync(failWhere)) throw new Error('failed on purpose');
    return greeting;
  },
  run: async ({ words, parts }) => {
    if (words.spinMs !== undefined) {
      for (const until = Date.now() + words.spinMs; Date.now() < until;);
    }
    if (words === 'hang') hang();
    if (words === 'end') process.exit(3);
    if (words === 'fail') throw new Error('failed on purpose');
    return { words: { answered: words }, parts };
  },
});
