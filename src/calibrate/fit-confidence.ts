import { confidenceOf, type ConfidenceMap } from '../vote/confidence.js';
import { fitIsotonic } from './fit-isotonic.js';
import { fitSigmoid, type Answered } from './fit-sigmoid.js';

const mostFolds = 5;

export interface FittedConfidence {
  /** Fitted on every answer. */
  readonly map: ConfidenceMap;
  /** Of each answer, by a map fitted without it: what the map is worth on images it has not seen. */
  readonly heldOut: readonly number[];
  /** Mean negative log-likelihood in nats of the held-out confidences, by kind. */
  readonly losses: Readonly<Record<ConfidenceMap['kind'], number>>;
}

const fits = { temperature: fitSigmoid, isotonic: fitIsotonic } as const;

/**
 * The kind of map with the lower negative log-likelihood in 5-fold cross-validation, fitted on all answers.
 * @param order a permutation of the answers' numbers, which deals them into folds
 */
export function fitConfidence(answers: readonly Answered[], order: ArrayLike<number>): FittedConfidence {
  const folds = foldsOf(answers.length, order);
  const heldOut = {
    temperature: crossValidate(answers, { folds, fit: fits.temperature }),
    isotonic: crossValidate(answers, { folds, fit: fits.isotonic }),
  };
  const losses = {
    temperature: meanLossOf(answers, heldOut.temperature),
    isotonic: meanLossOf(answers, heldOut.isotonic),
  };
  const kind = losses.isotonic < losses.temperature ? 'isotonic' : 'temperature';
  return { map: fits[kind](answers), heldOut: heldOut[kind], losses };
}

/** The fold of each answer. */
function foldsOf(count: number, order: ArrayLike<number>): number[] {
  const folds = new Array<number>(count).fill(0);
  for (let i = 0; i < count; i++) folds[order[i] ?? i] = i % mostFolds;
  return folds;
}

function crossValidate(
  answers: readonly Answered[],
  { folds, fit }: { readonly folds: readonly number[]; fit: (answers: readonly Answered[]) => ConfidenceMap },
): number[] {
  const maps = Array.from({ length: mostFolds }, (_, fold) => {
    const others = answers.filter((__, i) => folds[i] !== fold);
    return fit(others.length === 0 ? answers : others);
  });
  return answers.map(({ share }, i) => {
    const map = maps[folds[i] ?? 0];
    return map === undefined ? NaN : confidenceOf(map, share);
  });
}

function meanLossOf(answers: readonly Answered[], confidences: readonly number[]): number {
  const losses = answers.map(({ correct }, i) => {
    const confidence = confidences[i] ?? NaN;
    return -Math.log(correct ? confidence : 1 - confidence);
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}
