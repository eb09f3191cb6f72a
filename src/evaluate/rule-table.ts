import { voteRules, type VoteRule } from '../vote/rules.js';
import { answersOf, type Neighbourhoods } from './answers.js';
import { accuracyOf } from './metrics/accuracy.js';

export interface RuleAccuracy {
  readonly k: number;
  readonly rules: readonly { readonly rule: VoteRule; readonly accuracy: number }[];
}

export interface RuleTableOptions extends Neighbourhoods {
  /** The true label of each query. */
  readonly truths: readonly string[];
  /** None larger than what was found. */
  readonly ks: readonly number[];
  /** T of the softmax rule. */
  readonly temperature: number;
}

/** The accuracy of every vote rule at every k, on the same neighbours. */
export function accuracyByRule(options: RuleTableOptions): RuleAccuracy[] {
  const { truths, ks, temperature } = options;
  return ks.map((k) => ({
    k,
    rules: voteRules.map((rule) => {
      const answers = answersOf(options, k, { rule, temperature });
      const judged = truths.map((truth, i) => ({ truth, predicted: answers[i]?.label }));
      return { rule, accuracy: accuracyOf(judged) };
    }),
  }));
}
