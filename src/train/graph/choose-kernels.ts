import { encodeModel, model, tensorInfo, untypedInfo } from '../../onnx/model.js';
import { openSession, Tensor } from '../../onnx/session.js';
import { blockedKernels } from './blocked-kernels.js';
import type { ImageKernels } from './image-kernels.js';
import { plainKernels } from './plain-kernels.js';
import { createTape } from './tape.js';

/**
 * The fastest kernels that this machine's ONNX Runtime has: blocks of 16 channels with AVX-512, of 8 on other x86, plain
 * elsewhere. The runtime does not tell its block, so a small convolution is tried and its result looked at.
 */
export async function chooseKernels(): Promise<ImageKernels> {
  if (process.arch !== 'x64') return plainKernels;
  for (const block of [16, 8] as const) {
    const kernels = blockedKernels(block);
    if (await isRight(kernels)) return kernels;
  }
  return plainKernels;
}

const channels = 16;

/** Whether a convolution that copies channel i, plus a hundredth of each later one, does. */
async function isRight(kernels: ImageKernels): Promise<boolean> {
  const tape = createTape();
  const shape = [channels, channels, 1, 1];
  const weight = Float32Array.from({ length: channels * channels }, (_, i) => {
    const [out, into] = [Math.floor(i / channels), i % channels];
    return out === into ? 1 : into > out ? 0.01 : 0;
  });
  const input = { name: 'x', shape: [1, channels, 1, 1] };
  const output = kernels.convolve(tape, {
    input,
    weight: { name: tape.floats(weight, shape), shape },
    stride: 1,
    pads: [0, 0, 0, 0],
  });
  tape.rename(output, 'y');
  const bytes = encodeModel(
    model({
      name: 'probe',
      inputs: [tensorInfo({ name: 'x', elementType: 'float32', dims: input.shape })],
      outputs: [untypedInfo('y')],
      nodes: tape.nodes,
      initializers: tape.constants,
      domains: [...tape.domains],
    }),
  );
  // At one place, blocks follow one another as channels do in the plain order.
  const x = Float32Array.from({ length: channels }, (_, i) => i + 1);
  try {
    const session = await openSession({ model: bytes, threads: 1 });
    const { y } = await session.run({ x: new Tensor('float32', x, input.shape) });
    await session.release();
    const received = y?.data;
    return (
      received instanceof Float32Array &&
      received.every((value, i) => {
        const later = x.subarray(i + 1).reduce((sum, one) => sum + one, 0);
        return Math.abs(value - (i + 1 + 0.01 * later)) < 1e-3;
      })
    );
  } catch {
    return false;
  }
}
