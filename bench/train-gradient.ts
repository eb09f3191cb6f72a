import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../src/domain/seeded-random.js';
import { architectureOf } from '../src/train/architecture.js';
import { parameterLayout, sizeOfSpec } from '../src/train/parameters.js';
import { chooseKernels } from '../src/train/graph/blocked-kernels.js';
import { plainKernels } from '../src/train/graph/kernels.js';
import { gradientOf, relativeError } from '../test/train/whole-gradient.js';

/**
 * npx tsx bench/train-gradient.ts VIEWS: the gradient of the full-size compact network on noise of 32 x 32, against
 * PyTorch's in float32 and float64, whole and by parameter. Python is NEARVOTE_PYTHON or python3.
 */
const views = Number(process.argv[2] ?? 64);
const [size, classes] = [32, 3];
const dir = mkdtempSync(join(tmpdir(), 'nearvote-gradient-'));
const file = join(dir, 'gradient.f32');
const script = 'test/train/reference/make_reference.py';
spawnSync(process.env['NEARVOTE_PYTHON'] ?? 'python3', [script, file, String(views)], { stdio: 'inherit' });
const bytes = readFileSync(file);
rmSync(dir, { recursive: true });
const both = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const [single, double] = [both.subarray(0, both.length / 2), both.subarray(both.length / 2)];
console.log(`${views} views; relative errors`);
console.log(`PyTorch float32 against float64: ${relativeError(single, double).toExponential(2)}`);

const { parameters: specs } = parameterLayout(architectureOf({ name: 'compact' }));
const draw = seededRandom(7);
const parameters = Float32Array.from(
  specs.flatMap((spec) =>
    Array.from({ length: sizeOfSpec(spec) }, () => draw() - (spec.shape.length > 1 ? 0.5 : -0.5)),
  ),
);
const drawPixel = seededRandom(8);
const pixels = Uint8Array.from({ length: views * size * size * 3 }, () => drawPixel() * 256);
const labels = Float32Array.from({ length: views * classes }, (_, i) =>
  Math.floor(i / classes) % classes === i % classes ? 1 : 0,
);

for (const kernels of [await chooseKernels(), plainKernels]) {
  const gradient = await gradientOf({
    options: {
      architecture: { name: 'compact' },
      inputSize: { height: size, width: size },
      mean: [0.5, 0.4, 0.3],
      std: [0.25, 0.2, 0.3],
      views,
      classes,
      temperature: 0.2,
      optimizer: { name: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0 },
      threads: 2,
      seed: 1,
      kernels,
    },
    parameters,
    pixels,
    labels,
  });
  const errors = [single, double].map((expected) => relativeError(gradient, expected).toExponential(2));
  console.log(`blocks of ${kernels.block} against float32 ${errors.join(', against float64 ')}`);
  if (kernels.block === 1) continue;
  let offset = 0;
  for (const spec of specs) {
    const own = [offset, offset + sizeOfSpec(spec)] as const;
    const [ours, theirs, exact] = [gradient, single, double].map((all) => all.subarray(...own));
    if (ours === undefined || theirs === undefined || exact === undefined) continue;
    const each = [relativeError(ours, exact), relativeError(theirs, exact)].map((e) => e.toExponential(2));
    console.log(`  ${spec.name}: ours against float64 ${each.join(', PyTorch float32 against float64 ')}`);
    offset += sizeOfSpec(spec);
  }
}
