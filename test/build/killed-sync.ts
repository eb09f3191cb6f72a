/* Run by killed-sync.long.test.ts: makes the index argv[2] equal to a dataset and kills itself with SIGKILL at the moment argv[3]. */
import { watch } from 'node:fs';
import { syncIndex } from '../../src/build/sync-index.js';
import { createDecoder } from '../../src/image/decode.js';
import { createPixelPool, pixelDataset, pixelEncoder } from './pixel-encoder.js';

const [, , root = '', moment = ''] = process.argv;
const [kind, number = '0'] = moment.split(' ');
const countdown = { left: Number(number) };

function count(): void {
  if (--countdown.left <= 0) process.kill(process.pid, 'SIGKILL');
}

if (kind === 'change') watch(root, count).unref();

await syncIndex({
  ...{ root, dataset: pixelDataset({ count: 400 }), encoder: pixelEncoder },
  decoder: createDecoder({ geometry: pixelEncoder.input.geometry }),
  withPool: (work) => work({ pool: createPixelPool(), inFlight: 16 }),
  ...{ dryRun: false, keepTaught: false, allowDeleteAll: false, strict: false, keep: 2, threads: 1 },
  ...{ reason: null, who: null, now: () => new Date() },
  progress: {
    start: () => undefined,
    advance: () => {
      if (kind === 'image') count();
    },
    finish: () => undefined,
  },
});
console.log('synced');
