/* Makes the encoder that is shipped: `npx tsx bench/shipped-encoder.ts [SHARED]`, which holds models/cifar10-wide and
   data/cifar10. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProgress } from '../src/cli/output.js';
import { quantiseEncoder } from '../src/quantise/quantise-encoder.js';
import { writeWideEncoder } from './wide-encoder.js';

const [, , shared = '../shared'] = process.argv;
const name = 'cifar10-wide-int8';
const dir = await mkdtemp(join(tmpdir(), 'nearvote-shipped-'));
try {
  const encoder = await writeWideEncoder(shared, join(dir, 'cifar10-wide'));
  const data = join(shared, 'data/cifar10');
  const { bytes, meanCosine } = await quantiseEncoder(
    {
      ...{ encoder, data, split: 'train', maxImageBytes: 20_000_000 },
      ...{ out: join('models', name), name, force: true },
      ...{ images: 512, seed: 0, threads: availableParallelism(), processors: 'any', floatShare: 0.02 },
    },
    createProgress(),
  );
  console.log(
    `models/${name}: ${bytes.int8} bytes, mean cosine to the float encoder ${meanCosine.toFixed(5)}`,
  );
} finally {
  await rm(dir, { recursive: true, force: true });
}
