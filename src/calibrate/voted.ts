import type { Example } from '../domain/decision.js';
import type { NearestRows } from '../neighbours/searcher.js';
import { topShare, type VoteSettings } from '../vote/calibration.js';
import { labelSharesOf } from '../vote/prior.js';
import { familiarityOf, type UnknownRule } from '../vote/unknown.js';
import { vote, type Ballot, type VoteOptions } from '../vote/vote.js';
import type { LabelScore } from '../domain/decision.js';

/** Labelled images and the examples found near each, nearest first. */
export interface Neighbourhoods {
  /** The true label of each image. */
  readonly truths: readonly string[];
  readonly found: NearestRows;
  readonly examples: readonly Example[];
}

/** What a vote said of one image, and what is true of it. */
export interface Voted {
  readonly truth: string;
  readonly label: string;
  /** The label's share of the vote. */
  readonly share: number;
  readonly correct: boolean;
  /** Every label with votes, best first. */
  readonly scores: readonly LabelScore[];
  readonly familiarity: Readonly<Record<UnknownRule, number>>;
}

/** Lets the neighbours of some images vote: `images` are their numbers, and what comes back is in the same order. */
export function votesOf(
  { truths, found, examples }: Neighbourhoods,
  { images, settings }: { readonly images: Iterable<number>; readonly settings: VoteSettings },
): Voted[] {
  const k = Math.min(settings.k, found.k);
  const priors = settings.priorCorrection ? labelSharesOf(examples.map(({ label }) => label)) : undefined;
  const options: VoteOptions = { rule: settings.rule, temperature: settings.temperature, priors };
  return Array.from(images, (image) => {
    const similarities = found.similarities.subarray(image * found.k, image * found.k + k);
    const ballots = Array.from(similarities, (similarity, i): Ballot => {
      const row = found.rows[image * found.k + i] ?? -1;
      return { label: examples[row]?.label ?? '', similarity };
    });
    const scores = vote(ballots, options);
    const label = scores[0]?.label ?? '';
    const truth = truths[image] ?? '';
    const around = { scores, similarities };
    return {
      truth,
      label,
      share: topShare(scores),
      correct: label === truth,
      scores,
      familiarity: {
        similarity: familiarityOf('similarity', around),
        vote: familiarityOf('vote', around),
      },
    };
  });
}
