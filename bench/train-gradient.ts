import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../src/domain/seeded-random.js';
import { architectureOf } from '../src/train/architectures/architecture.js';
import { parameterLayout, sizeOfSpec } from '../src/train/architectures/parameters.js';
import { chooseKernels } from '../src/train/graph/choose-kernels.js';
import { plainKernels } from '../src/train/graph/plain-kernels.js';
import { gradientOf, relativeError } from '../test/train/whole-gradient.js';

/**
 * npx tsx bench/train-gradient.ts: the gradient of the full-size compact network, 64 views of 32 x 32, against
 * PyTorch's, whole and by parameter. Python is NEARVOTE_PYTHON or python3.
 */
const [views, size, classes] = [64, 32, 3];
const dir = mkdtempSync(join(tmpdir(), 'nearvote-gradient-'));
const file = join(dir, 'gradient.f32');
const script = 'test/train/reference/make_reference.py';
spawnSync(process.env['NEARVOTE_PYTHON'] ?? 'python3', [script, file], { stdio: 'inherit' });
const bytes = readFileSync(file);
rmSync(dir, { recursive: true });
const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

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
  console.log(
    `blocks of ${kernels.block}: relative error ${relativeError(gradient, expected).toExponential(2)}`,
  );
  let offset = 0;
  for (const spec of specs) {
    const end = offset + sizeOfSpec(spec);
    const error = relativeError(gradient.subarray(offset, end), expected.subarray(offset, end));
    console.log(`  ${spec.name} ${error.toExponential(2)}`);
    offset = end;
  }
}
