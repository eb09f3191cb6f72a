import { add, logSumExp, multiply, rowProducts, rowSum, scale, subtract, total } from './operations.js';
import type { Tape, Value } from './tape.js';

export interface SupconLossOptions {
  /** Unit rows, `[views, dimension]`. */
  readonly embeddings: Value;
  /** A label of each view as shares of the classes, `[views, classes]`: one-hot, mixed, or what a teacher says. */
  readonly labels: Value;
  readonly temperature: number;
}

/**
 * The supervised contrastive loss as a cross-entropy, a scalar: each view's label similarities to the other views (the
 * cosines of their label rows, made to sum to 1) against the softmax of its cosines over the temperature. With one-hot
 * labels it is L_out of Khosla et al. 2020 (arXiv:2004.11362), eq. 2; with others the loss of GenSCL (Kim et al. 2022,
 * arXiv:2206.00384; https://github.com/kiimmm/GenSCL, loss.py). The mean is over all views; one without a positive adds
 * 0; nothing is multiplied by the temperature.
 */
export function supconLoss(tape: Tape, { embeddings, labels, temperature }: SupconLossOptions): Value {
  const views = embeddings.shape[0] ?? 1;
  const square = [views, views];
  // By cosine, a view that is half of two labels is as similar to one of the same mixture as a whole one to its like.
  const squares = rowSum(tape, tape.emit('Mul', [labels.name, labels.name])); // [views, 1]
  const lengths = tape.emit('Sqrt', [tape.emit('Max', [squares, tape.floats([1e-12])])]);
  const unit = { name: tape.emit('Div', [labels.name, lengths]), shape: labels.shape };
  const product = rowProducts(tape, unit, unit).name;
  const self = tape.emit('EyeLike', [product], { attributes: { dtype: 1 } });
  const others = tape.emit('Sub', [product, tape.emit('Mul', [product, self])]);
  const sums = rowSum(tape, others); // [views, 1]
  const targets = tape.emit('Div', [others, tape.emit('Max', [sums, tape.floats([1e-12])])]);
  // 1, or 0 where no other view shares anything
  const hasPositive = rowSum(tape, targets);

  // A view is no candidate for itself: exp(-1e9 - anything) is 0, and unlike -infinity times 0 it stays a number.
  const selfMask = { name: tape.emit('Mul', [self, tape.floats([-1e9])]), shape: square };
  const logits = add(tape, scale(tape, rowProducts(tape, embeddings, embeddings), 1 / temperature), selfMask);
  const partition = multiply(tape, logSumExp(tape, logits), { name: hasPositive, shape: [views, 1] });
  const attained = multiply(tape, logits, { name: targets, shape: square });
  return scale(tape, subtract(tape, total(tape, partition), total(tape, attained)), 1 / views);
}
