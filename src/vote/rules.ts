export const voteRules = ['softmax', 'majority', 'similarity'] as const;
export type VoteRule = (typeof voteRules)[number];
