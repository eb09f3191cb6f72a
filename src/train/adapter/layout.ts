import {
  initialParameters,
  sizeOfSpec,
  lengthOf,
  type ParameterLayout,
} from '../architectures/parameters.js';

/** What is trained on the embeddings of a frozen backbone. */
export interface AdapterShape {
  /** `mlp` adds one hidden layer beside the linear map. */
  readonly kind: 'linear' | 'mlp';
  /** Of the backbone's embeddings. */
  readonly features: number;
  /** Of the adapter's embeddings, at most `features`. */
  readonly dimension: number;
  /** Of the hidden layer. */
  readonly hidden: number;
}

type ParameterSpecs = ParameterLayout['parameters'];

/** Where the adapter's weights lie in the flat vectors of the training state. */
export function adapterLayout({ kind, features, dimension, hidden }: AdapterShape): ParameterLayout {
  const zero = { fill: 0 };
  const decayed: ParameterSpecs = [
    { name: 'linear.weight', shape: [dimension, features], start: zero },
    ...(kind === 'mlp'
      ? [
          { name: 'hidden.weight', shape: [hidden, features], start: { normal: features } },
          { name: 'out.weight', shape: [dimension, hidden], start: zero },
        ]
      : []),
  ];
  const others: ParameterSpecs = [
    { name: 'linear.bias', shape: [dimension], start: zero },
    ...(kind === 'mlp'
      ? [
          { name: 'hidden.bias', shape: [hidden], start: zero },
          { name: 'out.bias', shape: [dimension], start: zero },
        ]
      : []),
  ];
  return { parameters: [...decayed, ...others], decayed: lengthOf(decayed), statistics: [] };
}

/**
 * The first weights: the adapter gives the backbone's embeddings back, or, where it has fewer dimensions, a projection
 * of them on as many random directions at right angles. Training starts from neighbours that are as good as the backbone's.
 */
export function initialAdapter(shape: AdapterShape, seed: number): Float32Array {
  const values = initialParameters(adapterLayout(shape), seed);
  const { features, dimension } = shape;
  const rows = dimension === features ? identity(features) : orthonormalRows(shape, seed);
  values.set(rows, 0);
  return values;
}

function identity(size: number): Float32Array {
  return Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}

/** Gram and Schmidt on normal numbers, `[dimension, features]`. */
function orthonormalRows({ features, dimension }: AdapterShape, seed: number): Float32Array {
  const spec = { name: 'rows', shape: [dimension, features], start: { normal: 1 } };
  const rows = initialParameters({ parameters: [spec], decayed: sizeOfSpec(spec), statistics: [] }, seed);
  const row = (i: number): Float32Array => rows.subarray(i * features, (i + 1) * features);
  for (let i = 0; i < dimension; i++) {
    const own = row(i);
    for (let before = 0; before < i; before++) {
      const other = row(before);
      const along = own.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
      own.forEach((value, at) => (own[at] = value - along * (other[at] ?? 0)));
    }
    const length = Math.hypot(...own);
    own.forEach((value, at) => (own[at] = value / length));
  }
  return rows;
}
