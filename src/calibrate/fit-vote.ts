import { ballotsOf, labelSharesOf, vote, type VoteOptions } from '../vote/vote.js';
import type { Example, LabelScore } from '../domain/decision.js';
import type { NearestRows } from '../neighbours/searcher.js';
import { topShare, type VoteSettings } from '../vote/calibration.js';
import { familiarityOf, type UnknownRule } from '../vote/unknown.js';

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
    const scores = vote(ballotsOf({ found, examples }, image, k), options);
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

/** Every neighbour costs the search: 100 take half as long again as 20, and more gain little. */
export const candidateKs: readonly number[] = [5, 10, 20, 50, 100];
/** The loss is flat in T: a finer grid finds nothing. */
export const candidateTemperatures: readonly number[] = [
  0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1,
];

export interface FitVoteOptions {
  /** Numbers of the images to fit on. */
  readonly images: readonly number[];
  /** The rule and the prior correction are kept; so are k and T where the grid has one value. */
  readonly settings: VoteSettings;
  readonly ks: readonly number[];
  /** Used by the softmax rule alone. */
  readonly temperatures: readonly number[];
}

/**
 * The k and T that give the most right answers among those under which the true labels are likeliest: whose mean
 * negative log-likelihood is within one standard error of the lowest, the error being that of the paired difference
 * (after the rule of Breiman et al. 1984). The likelihood is nearly flat in T, the labels are not. Without images, the
 * first k and T.
 */
export function fitVote(hoods: Neighbourhoods, options: FitVoteOptions): VoteSettings {
  const { images, settings, ks } = options;
  const [k = settings.k] = ks;
  const [temperature = settings.temperature] = options.temperatures;
  if (images.length === 0) return { ...settings, k, temperature };
  const labels = new Set(hoods.examples.map(({ label }) => label)).size;
  const temperatures = settings.rule === 'softmax' ? options.temperatures : [temperature];
  const candidates = ks.flatMap((eachK) =>
    temperatures.map((each) => {
      const candidate = { ...settings, k: eachK, temperature: each };
      const votes = votesOf(hoods, { images, settings: candidate });
      const losses = Float64Array.from(votes, (voted) => lossOf(voted, labels));
      return {
        candidate,
        losses,
        loss: meanOf(losses),
        right: votes.filter(({ correct }) => correct).length,
      };
    }),
  );
  const likeliest = candidates.toSorted((a, b) => a.loss - b.loss);
  const [best] = likeliest;
  if (best === undefined) return settings;
  const [chosen = best] = likeliest
    .filter(({ losses, loss }) => loss - best.loss <= standardErrorOf(losses, best.losses))
    // A stable sort: of equally many right answers the likeliest.
    .sort((a, b) => b.right - a.right);
  return chosen.candidate;
}

/**
 * Neighbours that all agree do not make another label impossible, and one image whose label got no vote must not decide
 * the whole fit: a hundredth of the vote is spread evenly over all labels.
 */
const spread = 0.01;

/** Negative log-likelihood in nats of the true label; `labels` is how many the index has. */
export function lossOf({ truth, scores }: Pick<Voted, 'truth' | 'scores'>, labels: number): number {
  const score = scores.find(({ label }) => label === truth)?.score ?? 0;
  return -Math.log((1 - spread) * score + spread / labels);
}

/** Of the mean of a - b. */
function standardErrorOf(a: Float64Array, b: Float64Array): number {
  const differences = a.map((value, i) => value - (b[i] ?? NaN));
  const mean = meanOf(differences);
  return Math.sqrt(meanOf(differences.map((value) => (value - mean) ** 2)) / differences.length);
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
