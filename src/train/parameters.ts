import { seededRandom } from '../domain/seeded-random.js';
import type { Architecture, ConvolutionLayer, Layers } from './architecture.js';

/** A tensor that training changes. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

interface ParameterSpec extends TensorSpec {
  /** Its first values: normal of variance `2 / fanIn`, uniform within `1 / sqrt(fanIn)`, or all one number. */
  readonly start: { readonly fill: number } | { readonly normal: number } | { readonly uniform: number };
}

/** Where everything that is trained lies in the flat vectors of the training state. */
export interface ParameterLayout {
  /** Of the vector of parameters, those that weight decay reaches (more than one axis) first. */
  readonly parameters: readonly ParameterSpec[];
  /** How many numbers weight decay reaches. */
  readonly decayed: number;
  /** Of the vector of running statistics: mean and variance of each batch norm. */
  readonly statistics: readonly TensorSpec[];
}

/** Dimension of the projections that the loss compares. */
export const projectionDimension = 128;

/** What an architecture and the head on it train. */
export function parameterLayout(architecture: Architecture): ParameterLayout {
  const parameters: ParameterSpec[] = [];
  const statistics: TensorSpec[] = [];
  const { dimension } = architecture;
  const layers: Layers<number, undefined> = {
    convolution: (_, layer) => {
      parameters.push(...convolutionSpecs(layer));
      return layer.out;
    },
    batchNorm: (x, name) => {
      parameters.push(
        { name: `${name}.weight`, shape: [x], start: { fill: 1 } },
        { name: `${name}.bias`, shape: [x], start: { fill: 0 } },
      );
      statistics.push({ name: `${name}.mean`, shape: [x] }, { name: `${name}.variance`, shape: [x] });
      return x;
    },
    relu: (x) => x,
    maxPool: (x) => x,
    add: (x) => x,
    globalAveragePool: () => undefined,
  };
  architecture.build(layers, 3);
  parameters.push(
    { name: 'head.dense1.weight', shape: [dimension, dimension], start: { normal: dimension } },
    { name: 'head.dense1.bias', shape: [dimension], start: { fill: 0 } },
    { name: 'head.dense2.weight', shape: [projectionDimension, dimension], start: { normal: dimension } },
    { name: 'head.dense2.bias', shape: [projectionDimension], start: { fill: 0 } },
  );
  const decayed = parameters.filter(({ shape }) => shape.length > 1);
  const others = parameters.filter(({ shape }) => shape.length === 1);
  return { parameters: [...decayed, ...others], decayed: lengthOf(decayed), statistics };
}

function convolutionSpecs({ name, into, out, size, bias = false }: ConvolutionLayer): ParameterSpec[] {
  const fanIn = into * size * size;
  const weight: ParameterSpec = {
    name: `${name}.weight`,
    shape: [out, into, size, size],
    start: { normal: fanIn },
  };
  return bias ? [weight, { name: `${name}.bias`, shape: [out], start: { uniform: fanIn } }] : [weight];
}

export const sizeOfSpec = ({ shape }: TensorSpec): number => shape.reduce((product, dim) => product * dim, 1);

/** How many numbers these tensors hold one after another. */
export function lengthOf(specs: readonly TensorSpec[]): number {
  return specs.reduce((sum, spec) => sum + sizeOfSpec(spec), 0);
}

/** The first parameters, by a seed: He et al. 2015 (arXiv:1502.01852), normal of variance 2 / fan-in. */
export function initialParameters({ parameters }: ParameterLayout, seed: number): Float32Array {
  const random = seededRandom(seed);
  // Box and Muller; 1 - random() is never 0.
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const values = new Float32Array(lengthOf(parameters));
  let offset = 0;
  for (const spec of parameters) {
    const { start } = spec;
    const end = offset + sizeOfSpec(spec);
    for (; offset < end; offset++) {
      if ('fill' in start) values[offset] = start.fill;
      else if ('normal' in start) values[offset] = normal() * Math.sqrt(2 / start.normal);
      else values[offset] = (2 * random() - 1) / Math.sqrt(start.uniform);
    }
  }
  return values;
}

/** Running statistics before the first step: mean 0, variance 1. */
export function initialStatistics({ statistics }: ParameterLayout): Float32Array {
  return Float32Array.from(
    statistics.flatMap((spec) =>
      Array.from({ length: sizeOfSpec(spec) }, () => (spec.name.endsWith('.variance') ? 1 : 0)),
    ),
  );
}
