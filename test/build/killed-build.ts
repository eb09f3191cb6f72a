/* Run by killed-build.long.test.ts: builds the index argv[2] and kills itself with SIGKILL at the moment argv[3]. */
import { watch } from 'node:fs';
import { buildIndex } from '../../src/build/build-index.js';
import { buildOptions } from './build-options.js';
import { pixelDataset } from './pixel-encoder.js';

const [, , out = '', moment = ''] = process.argv;
const [kind, number = '0'] = moment.split(' ');
const countdown = { left: Number(number) };

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

function count(): void {
  if (--countdown.left <= 0) die();
}

if (kind === 'change') watch(out, count).unref();

await buildIndex(
  buildOptions({
    out,
    dataset: pixelDataset({ count: 400, seed: 2 }),
    progress: {
      start: ({ name }) => {
        if (kind === name) die();
      },
      advance: () => {
        if (kind === 'image') count();
      },
      finish: () => undefined,
    },
    now: () => {
      if (kind === 'publishing') die();
      return new Date();
    },
  }),
);
console.log('published');
