import type { Ballot } from './domain/ballots.js';
import type { Decision, Example, Neighbour } from './domain/decision.js';
import type { Cancellation } from './domain/cancellation.js';
import { NearvoteError } from './domain/errors.js';
import type { Decoder } from './image/decode.js';
import type { Inference, Inferred } from './inference/inference.js';
import { judge, type Calibration, type VoteSettings } from './vote/calibration.js';
import { labelSharesOf } from './vote/prior.js';
import type { VoteRule } from './vote/rules.js';
import { vote } from './vote/vote.js';

interface ClassifyOptions {
  /** Explicit k: larger than the index is an error. Absent: the default, clamped to the index. */
  readonly k?: number | undefined;
  readonly vote?: VoteRule | undefined;
  /** How many neighbours to show, 5 unless told. */
  readonly neighbours?: number | undefined;
  readonly signal?: Cancellation | undefined;
}

/** Where the time of one image went. */
export interface StageTimings {
  readonly decodeMs: number;
  readonly queueMs: number;
  readonly encodeMs: number;
  readonly searchMs: number;
  readonly voteMs: number;
}

export interface Classification {
  readonly decision: Decision;
  /** Similarity of the nearest neighbour. */
  readonly topSimilarity: number;
  readonly timings: StageTimings;
}

interface EmbedResult {
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
  readonly timings: StageTimings;
}

export interface Classifier {
  readonly index: { readonly name: string; readonly version: string; readonly examples: number };
  readonly encoder: { readonly name: string; readonly version: string; readonly dimension: number };
  readonly labels: readonly string[];
  /** The k of a request that sets none, clamped to the index. */
  readonly defaultK: number;
  readonly calibration: Calibration | undefined;
  /** @throws NearvoteError `image_*`, `k_too_large`, or what inference throws */
  classify(bytes: Uint8Array, options?: ClassifyOptions): Promise<Classification>;
  /** @throws NearvoteError `image_*`, or what inference throws */
  embed(bytes: Uint8Array, options?: Pick<ClassifyOptions, 'signal'>): Promise<EmbedResult>;
}

export interface ClassifierOptions {
  readonly decoder: Decoder;
  readonly inference: Inference;
  readonly index: { readonly name: string; readonly version: string; readonly examples: readonly Example[] };
  readonly encoder: { readonly name: string; readonly version: string; readonly dimension: number };
  /** What a request without its own gets, unless there is a calibration. */
  readonly defaults: VoteSettings;
  /** Its own vote settings take the place of the defaults; a request with its own k or rule is not calibrated. */
  readonly calibration?: Calibration | undefined;
  readonly createId: () => string;
}

const defaultShown = 5;

/** Joins the four stages: bytes -> pixels -> embedding and neighbours (one trip to a worker) -> decision. */
export function createClassifier(options: ClassifierOptions): Classifier {
  const { decoder, inference, index, encoder, calibration, createId } = options;
  const { examples } = index;
  const defaults = calibration?.vote ?? options.defaults;
  const defaultK = Math.min(defaults.k, examples.length);
  const priors = defaults.priorCorrection ? labelSharesOf(examples.map(({ label }) => label)) : undefined;
  const versions = {
    index: { name: index.name, version: index.version },
    encoder: { name: encoder.name, version: encoder.version },
  };

  /** The nearest `most` of what was found. */
  function neighboursOf({ rows, similarities }: Inferred, most: number): Neighbour[] {
    const neighbours: Neighbour[] = [];
    for (const [i, row] of rows.subarray(0, most).entries()) {
      const { id, label, source } = exampleOf(row);
      neighbours.push({ id, label, source, similarity: similarities[i] ?? NaN });
    }
    return neighbours;
  }

  function ballotsOf({ rows, similarities }: Inferred): Ballot[] {
    const ballots: Ballot[] = [];
    for (let i = 0; i < rows.length; i++) {
      ballots.push({ label: exampleOf(rows[i] ?? -1).label, similarity: similarities[i] ?? NaN });
    }
    return ballots;
  }

  function exampleOf(row: number): Example {
    const example = examples[row];
    if (example === undefined) {
      throw new NearvoteError('internal', `Expected a row below ${examples.length} but received ${row}`);
    }
    return example;
  }

  async function infer(
    bytes: Uint8Array,
    ask: { k: number; withEmbedding: boolean; signal: Cancellation | undefined },
  ): Promise<{ inferred: Inferred; timings: Omit<StageTimings, 'voteMs'> }> {
    const started = performance.now();
    const pixels = await decoder.decode(bytes, ask.signal);
    const decodeMs = performance.now() - started;
    const inferred = await inference.infer(pixels, ask);
    const { queueMs, encodeMs, searchMs } = inferred;
    return { inferred, timings: { decodeMs, queueMs, encodeMs, searchMs } };
  }

  return {
    index: { ...versions.index, examples: examples.length },
    encoder,
    labels: [...new Set(examples.map(({ label }) => label))].sort(),
    defaultK,
    calibration,

    classify: async (bytes, ask = {}) => {
      if (ask.k !== undefined && ask.k > examples.length) {
        throw new NearvoteError(
          'k_too_large',
          `Expected k to be at most ${examples.length}, the size of the index, but received ${ask.k}`,
        );
      }
      const { inferred, timings } = await infer(bytes, {
        k: ask.k ?? defaultK,
        withEmbedding: false,
        signal: ask.signal,
      });
      const started = performance.now();
      const scores = vote(ballotsOf(inferred), {
        rule: ask.vote ?? defaults.rule,
        temperature: defaults.temperature,
        priors,
      });
      const [top] = scores;
      const [topSimilarity] = inferred.similarities;
      if (top === undefined || topSimilarity === undefined) {
        throw new NearvoteError('internal', 'Expected at least one neighbour but received none');
      }
      const isDefault = ask.k === undefined && ask.vote === undefined;
      const judged =
        calibration && isDefault
          ? { ...judge(calibration, { scores, similarities: inferred.similarities }), calibrated: true }
          : { outcome: 'known' as const, confidence: top.score, calibrated: false };
      return {
        decision: {
          id: createId(),
          label: top.label,
          ...judged,
          scores,
          neighbours: neighboursOf(inferred, ask.neighbours ?? defaultShown),
          ...versions,
        },
        topSimilarity,
        timings: { ...timings, voteMs: performance.now() - started },
      };
    },

    embed: async (bytes, ask = {}) => {
      const { inferred, timings } = await infer(bytes, { k: 0, withEmbedding: true, signal: ask.signal });
      if (inferred.embedding === undefined) {
        throw new NearvoteError('internal', 'Expected an embedding but received none');
      }
      return { embedding: inferred.embedding, timings: { ...timings, voteMs: 0 } };
    },
  };
}
