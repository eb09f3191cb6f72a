/* Run by killed-checkpoint.test.ts: writes checkpoint after checkpoint at argv[2], and kills itself with SIGKILL at the
   argv[3]-th change of their folder. */
import { watch } from 'node:fs';
import { dirname } from 'node:path';
import { writeCheckpoint } from '../../src/train/checkpoint.js';
import { aCheckpoint } from './a-checkpoint.js';

const [, , path = '', changes = ''] = process.argv;
let left = Number(changes);
watch(dirname(path), () => {
  if (--left <= 0) process.kill(process.pid, 'SIGKILL');
});

for (let step = 1; ; step++) {
  // 8 MB, so that many a kill comes while it is being written.
  await writeCheckpoint(path, aCheckpoint(step, 2_000_000));
  process.stdout.write(`${step}\n`);
}
