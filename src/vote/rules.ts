/**
 * How neighbours vote: `softmax` exp(s / T), `similarity` max(s, 0), `majority` 1, `rank` 1 / rank. Their sources are
 * in weights.ts.
 */
export const voteRules = ['softmax', 'majority', 'similarity', 'rank'] as const;
export type VoteRule = (typeof voteRules)[number];

/** Softmax with T = 0.07 over k = 20: the kNN evaluation of Wu et al. 2018 (arXiv:1805.01978) and DINO's eval_knn. */
export const defaultVote = { rule: 'softmax', temperature: 0.07, k: 20 } as const;
