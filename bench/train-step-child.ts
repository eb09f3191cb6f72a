import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { seededRandom } from '../src/domain/seeded-random.js';
import type { ArchitectureOptions } from '../src/train/architecture.js';
import { createTrainingStep } from '../src/train/step.js';

/** Answers `step` and `peak` on standard input as bench/train_step_torch.py does. */
const [name = 'compact', images = '256', size = '32', threads = '2'] = process.argv.slice(2);
const views = 2 * Number(images);
const [height, width] = [Number(size), Number(size)];
const training = await createTrainingStep({
  architecture: { name } as ArchitectureOptions,
  inputSize: { height, width },
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.247, 0.2435, 0.2616],
  views,
  classes: 10,
  temperature: 0.1,
  optimizer: { name: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
  threads: Number(threads),
  seed: 1,
});
const random = seededRandom(1);
const pixels = Uint8Array.from({ length: views * height * width * 3 }, () => random() * 256);
const labels = new Float32Array(views * 10);
for (let view = 0; view < views; view++) labels[view * 10 + ((view % Number(images)) % 10)] = 1;

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'step') {
    const start = performance.now();
    const { loss } = await training.step({ pixels, labels, learningRate: 0.05 });
    console.log(JSON.stringify({ ms: performance.now() - start, loss }));
  } else {
    const [, peakKb] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    console.log(JSON.stringify({ peakKb: Number(peakKb) }));
  }
}
await training.release();
