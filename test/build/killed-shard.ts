/* Run by killed-shards.long.test.ts: embeds the part argv[3] of 8 in the folder argv[2], and kills itself with SIGKILL at the moment argv[4]. */
import { mkdirSync, watch } from 'node:fs';
import { shardFolder } from '../../src/build/shard-files.js';
import { embedShard } from '../../src/build/shard.js';
import { buildOptions } from './build-options.js';
import { createPixelPool, pixelDataset, pixelEncoder } from './pixel-encoder.js';

const [, , dir = '', shard = '0', moment = 'never'] = process.argv;
const [kind, number = '0'] = moment.split(' ');
let left = Number(number);

function count(): void {
  if (--left <= 0) process.kill(process.pid, 'SIGKILL');
}

const part = { shard: Number(shard), shards: 8 };
if (kind === 'change') {
  const folder = shardFolder(dir, part);
  mkdirSync(folder, { recursive: true });
  watch(folder, count).unref();
}
const { decoder } = buildOptions({ out: dir });
const { skipped } = await embedShard({
  ...{ dataset: pixelDataset({ count: 1_600 }), encoder: pixelEncoder, decoder, dir, ...part },
  progress: {
    start: () => undefined,
    advance: () => {
      if (kind === 'image') count();
    },
    finish: () => undefined,
  },
  withPool: (work) => work({ pool: createPixelPool(), inFlight: 8, trainedOn: undefined }),
});
console.log(skipped ? 'skipped' : 'done');
