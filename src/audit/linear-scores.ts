import type { Embeddings } from '../domain/embeddings.js';
import type { Labelling } from './labelling.js';

/** How much speaks for each label of each row, by a model that has not seen the row's own label. */
export interface LinearScores {
  /** Writes the scores of a row, about 1 for its label and 0 for the others, `[labels]`. */
  score(row: number, into: Float64Array): void;
}

export interface LinearScoresOptions {
  readonly embeddings: Embeddings;
  readonly labelling: Labelling;
}

/** Of the mean variance along an axis. docs/decisions/013 has others. */
const regularisation = 0.1;
/** Rows that are gone through at once: what is read of the matrix serves them all. */
const together = 4;

/**
 * Ridge regression of the labels, each 1 for its own examples and 0 for the rest, on the embeddings and a constant. What
 * it would score a row without that row follows from its leverage, so that nothing is fitted twice (Allen 1974,
 * Technometrics 16, 125-127).
 */
export function linearScores({ embeddings, labelling }: LinearScoresOptions): LinearScores {
  const { count, dimension, values } = embeddings;
  const { of, names } = labelling;
  const size = dimension + 1;
  const block = new Float64Array(together * size);
  /** Rows from `first` on with their constant, `[4, size]`; zeros after the last. */
  const fill = (first: number): void => {
    block.fill(0);
    for (let i = 0; i < Math.min(together, count - first); i++) {
      block.set(values.subarray((first + i) * dimension, (first + i + 1) * dimension), i * size);
      block[(i + 1) * size - 1] = 1;
    }
  };

  const matrix = new Float64Array(size * size); // the lower triangle of X'X, then its Cholesky factor
  const weights = new Float64Array(names.length * size); // X'Y transposed, then the regression's, `[labels, size]`
  for (let first = 0; first < count; first += together) {
    fill(first);
    addProducts(matrix, block, size);
    for (let i = 0; i < Math.min(together, count - first); i++) {
      const to = (of[first + i] as number) * size;
      for (let j = 0; j < size; j++)
        weights[to + j] = (weights[to + j] as number) + (block[i * size + j] as number);
    }
  }
  let trace = 0;
  for (let j = 0; j < dimension; j++) trace += matrix[j * size + j] as number;
  for (let j = 0; j < dimension; j++) {
    matrix[j * size + j] = (matrix[j * size + j] as number) + (regularisation * trace) / dimension;
  }
  factorise(matrix, size);
  for (let label = 0; label < names.length; label++) {
    solve(matrix, weights.subarray(label * size, (label + 1) * size));
  }

  const leverages = new Float64Array(count + together);
  for (let first = 0; first < count; first += together) {
    fill(first);
    leverages.set(squaredSolutions(matrix, block, size), first);
  }

  return {
    score: (row, into) => {
      const leverage = leverages[row] as number;
      for (let label = 0; label < names.length; label++) {
        const from = label * size;
        let sum = weights[from + dimension] as number;
        for (let j = 0; j < dimension; j++)
          sum += (weights[from + j] as number) * (values[row * dimension + j] as number);
        const own = of[row] === label ? 1 : 0;
        into[label] = (sum - leverage * own) / (1 - leverage);
      }
    },
  };
}

/** Adds the products of four rows with themselves to the lower triangle. */
function addProducts(matrix: Float64Array, block: Float64Array, size: number): void {
  const [b, c, d] = [size, 2 * size, 3 * size];
  for (let j = 0; j < size; j++) {
    const [aj, bj, cj, dj] = [
      ...[block[j] as number, block[b + j] as number],
      ...[block[c + j] as number, block[d + j] as number],
    ] as [number, number, number, number];
    for (let k = 0, at = j * size; k <= j; k++, at++) {
      matrix[at] =
        (matrix[at] as number) +
        aj * (block[k] as number) +
        bj * (block[b + k] as number) +
        cj * (block[c + k] as number) +
        dj * (block[d + k] as number);
    }
  }
}

/** Cholesky's factor of a lower triangle, in place. */
function factorise(matrix: Float64Array, size: number): void {
  for (let j = 0; j < size; j++) {
    for (let k = 0; k <= j; k++) {
      let sum = matrix[j * size + k] as number;
      for (let m = 0, p = j * size, q = k * size; m < k; m++, p++, q++) {
        sum -= (matrix[p] as number) * (matrix[q] as number);
      }
      matrix[j * size + k] =
        j === k ? Math.sqrt(Math.max(sum, 1e-12)) : sum / (matrix[k * size + k] as number);
    }
  }
}

/** Solves L L' x = b in place. */
function solve(factor: Float64Array, x: Float64Array): void {
  const size = x.length;
  for (let j = 0; j < size; j++) {
    let sum = x[j] as number;
    for (let m = 0; m < j; m++) sum -= (factor[j * size + m] as number) * (x[m] as number);
    x[j] = sum / (factor[j * size + j] as number);
  }
  for (let j = size - 1; j >= 0; j--) {
    const value = (x[j] as number) / (factor[j * size + j] as number);
    x[j] = value;
    for (let m = 0; m < j; m++) x[m] = (x[m] as number) - value * (factor[j * size + m] as number);
  }
}

/** Of each of four rows x, the squared length of L^-1 x: its leverage. Solves in place. */
function squaredSolutions(factor: Float64Array, block: Float64Array, size: number): number[] {
  const [b, c, d] = [size, 2 * size, 3 * size];
  let [sa, sb, sc, sd] = [0, 0, 0, 0];
  for (let j = 0; j < size; j++) {
    let aj = block[j] as number;
    let bj = block[b + j] as number;
    let cj = block[c + j] as number;
    let dj = block[d + j] as number;
    for (let m = 0, at = j * size; m < j; m++, at++) {
      const entry = factor[at] as number;
      aj -= entry * (block[m] as number);
      bj -= entry * (block[b + m] as number);
      cj -= entry * (block[c + m] as number);
      dj -= entry * (block[d + m] as number);
    }
    const scale = 1 / (factor[j * size + j] as number);
    sa += (block[j] = aj * scale) ** 2;
    sb += (block[b + j] = bj * scale) ** 2;
    sc += (block[c + j] = cj * scale) ** 2;
    sd += (block[d + j] = dj * scale) ** 2;
  }
  return [sa, sb, sc, sd];
}
