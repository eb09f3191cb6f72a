/* Run by lock.test.ts: takes the lock of the folder argv[2] and kills itself with SIGKILL. */
import { lockFolder } from '../../src/files/lock.js';

await lockFolder(process.argv[2] ?? '');
process.kill(process.pid, 'SIGKILL');
