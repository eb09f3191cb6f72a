import { openSession, Tensor } from '../../../src/onnx/session.js';
import { encodeModel, model, tensorInfo, untypedInfo } from '../../../src/onnx/model.js';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import { multiply, total } from '../../../src/train/graph/operations.js';
import { createTape, sizeOf, type Tape, type Value } from '../../../src/train/graph/tape.js';

/** An expression of parameters, of any shape. */
type Build = (tape: Tape, ...parameters: Value[]) => Value;

/** Numbers of a shape, uniform in -1..1 by a seed. */
export function drawn(shape: readonly number[], seed: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1);
}

export interface Expression {
  readonly build: Build;
  readonly shapes: readonly (readonly number[])[];
  readonly inputs?: readonly Float32Array[];
}

/**
 * The greatest difference of the tape's gradients from central differences, over the greatest gradient: of the sum of
 * the expression's numbers, each times a weight of its own so that no error cancels.
 */
export async function gradientError({ build, shapes, inputs }: Expression): Promise<number> {
  const values = inputs ?? shapes.map((shape, i) => drawn(shape, i + 1));
  const tape = createTape();
  const parameters = shapes.map((shape, i) => tape.parameter(`p${i}`, shape));
  const built = build(tape, ...parameters);
  const weights = { name: tape.floats(drawn(built.shape, 99), built.shape), shape: built.shape };
  const loss = total(tape, multiply(tape, built, weights));
  const gradients = tape.backward(loss);
  tape.rename(loss.name, 'loss');
  parameters.forEach((parameter, i) => tape.rename(gradients.get(parameter) ?? '', `g${i}`));
  const bytes = encodeModel(
    model({
      name: 'expression',
      inputs: shapes.map((dims, i) => tensorInfo({ name: `p${i}`, elementType: 'float32', dims })),
      outputs: [untypedInfo('loss'), ...shapes.map((_, i) => untypedInfo(`g${i}`))],
      nodes: tape.nodes,
      initializers: tape.constants,
      domains: [...tape.domains],
    }),
  );
  const session = await openSession({ model: bytes, threads: 1 });
  const run = async (at: readonly Float32Array[], names: readonly string[]) => {
    const feeds = at.map((data, i) => [`p${i}`, new Tensor('float32', data, shapes[i])] as const);
    const out = await session.run(Object.fromEntries(feeds), names);
    return names.map((name) => out[name]?.data as Float32Array);
  };
  const found = await run(
    values,
    shapes.map((_, i) => `g${i}`),
  );
  let [worst, greatest] = [0, 0];
  for (const [i, value] of values.entries()) {
    for (let at = 0; at < value.length; at++) {
      const ends: number[] = [];
      for (const step of [-1, 1]) {
        const moved = values.map((one) => one.slice());
        const changed = moved[i];
        if (changed === undefined) throw new Error('no such parameter');
        changed[at] = (value[at] ?? 0) + step * 2 ** -8;
        ends.push((await run(moved, ['loss']))[0]?.[0] ?? NaN);
      }
      const [before = NaN, after = NaN] = ends;
      const difference = (after - before) * 2 ** 7;
      worst = Math.max(worst, Math.abs(difference - (found[i]?.[at] ?? NaN)));
      greatest = Math.max(greatest, Math.abs(difference));
    }
  }
  await session.release();
  return greatest === 0 ? NaN : worst / greatest;
}
