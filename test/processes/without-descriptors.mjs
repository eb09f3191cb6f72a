/* Run under a low limit of open files: a child is killed while none is left, and its replacement comes when some are. */
import { closeSync, openSync } from 'node:fs';
import { superviseChild } from '../../dist/processes/supervised-child.js';

const opened = [];
const child = superviseChild({
  file: new URL('./scripted-child.mjs', import.meta.url),
  setup: {},
  jobDeadlineMs: 10_000,
  heapMegabytes: 64,
  nice: 0,
  yielding: false,
  onReady: () => {
    if (opened.length === 0) return;
    console.log('ready');
    child.stop();
  },
  onRestart: (reason) => {
    console.log(reason);
    if (reason.includes('EMFILE')) for (const fd of opened) closeSync(fd);
  },
});
await child.started;
try {
  for (;;) opened.push(openSync('/dev/null', 'r'));
} catch {
  // The pipes of the child that ends free two, of the three and more that the next one needs.
  child.run({ words: 'end', parts: [] }).catch(() => undefined);
}
