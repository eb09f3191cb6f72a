// Run by killed-publish.test.ts: publishes the files argv[4] in the folder argv[2], and dies by SIGKILL before its
// argv[3]th rename or removal.
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { publishFolder } from '../../../dist/encoder/add/publish.js';

const [, , dir, steps, files] = process.argv;
let left = Number(steps);

const dying =
  (call) =>
  (...args) => {
    if (--left < 0) process.kill(process.pid, 'SIGKILL');
    return call(...args);
  };

fs.rename = dying(fs.rename);
fs.rm = dying(fs.rm);
syncBuiltinESMExports();
await publishFolder({ dir, files: JSON.parse(files), force: true });
