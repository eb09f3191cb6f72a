// Run by lock.test.ts: takes the lock of the folder argv[2], and kills itself with SIGKILL or, where argv[3] is `hold`,
// releases it when its standard input ends.
import { once } from 'node:events';
import { lockFolder } from '../../dist/files/lock.js';

const [, , folder, then] = process.argv;
const lock = await lockFolder(folder);
if (then !== 'hold') process.kill(process.pid, 'SIGKILL');
await once(process.stdin.resume(), 'end');
await lock.assertHeld();
await lock.release();
