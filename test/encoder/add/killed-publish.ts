/* Run by killed-publish.test.ts: publishes into argv[2], and dies by SIGKILL before its argv[3]th rename or removal. */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const [, , dir = '', steps = ''] = process.argv;
const countdown = { left: Number(steps) };

function dying<T extends unknown[], R>(call: (...args: T) => R): (...args: T) => R {
  return (...args) => {
    if (--countdown.left < 0) process.kill(process.pid, 'SIGKILL');
    return call(...args);
  };
}

const { publishFolder } = await import('../../../src/encoder/add/publish.js');
fs.rename = dying(fs.rename);
fs.rm = dying(fs.rm);
syncBuiltinESMExports();
const { filesOf } = await import('./published-files.js');
await publishFolder({ dir, files: filesOf('new'), force: true });
console.log('published');
