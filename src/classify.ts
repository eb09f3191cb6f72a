import type { Cancellation } from './domain/cancellation.js';
import type { Decision } from './domain/decision.js';
import { NearvoteError } from './domain/errors.js';
import type { RuntimeName } from './encoder/encoder.js';
import type { EncoderPool } from './encoder/pool/pool.js';
import type { Embedded } from './encoder/pool/queue.js';
import type { Decoder } from './image/decode.js';
import type { Neighbours } from './neighbours/neighbours.js';
import { judge, type Calibration, type VoteSettings } from './vote/calibration.js';
import type { VoteRule } from './vote/rules.js';
import { foundOf } from './vote/unknown.js';
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

interface ServedEncoder {
  readonly name: string;
  readonly version: string;
  readonly dimension: number;
  readonly runtime: RuntimeName;
}

export interface Classifier {
  readonly index: { readonly name: string; readonly version: string; readonly examples: number };
  readonly encoder: ServedEncoder;
  readonly labels: readonly string[];
  /** The k of a request that sets none, clamped to the index. */
  readonly defaultK: number;
  readonly calibration: Calibration | undefined;
  /** @throws NearvoteError `image_*`, `k_too_large`, or what encoder and index throw */
  classify(bytes: Uint8Array, options?: ClassifyOptions): Promise<Classification>;
  /** @throws NearvoteError `image_*`, or what the encoder throws */
  embed(bytes: Uint8Array, options?: Pick<ClassifyOptions, 'signal'>): Promise<EmbedResult>;
}

export interface ClassifierOptions {
  readonly decoder: Decoder;
  readonly pool: Pick<EncoderPool, 'embed'>;
  readonly neighbours: Pick<Neighbours, 'version' | 'search'>;
  readonly encoder: ServedEncoder;
  /** What a request without its own gets, unless there is a calibration. */
  readonly defaults: VoteSettings;
  /** Its own vote settings take the place of the defaults; a request with its own k or rule is not calibrated. */
  readonly calibration?: Calibration | undefined;
  readonly createId: () => string;
}

const defaultShown = 5;

/** Joins the four stages: bytes -> pixels -> embedding -> neighbours -> decision. */
export function createClassifier(options: ClassifierOptions): Classifier {
  const { decoder, pool, neighbours, encoder, calibration, createId } = options;
  const { name, version, examples, labels } = neighbours.version;
  const defaults = calibration?.vote ?? options.defaults;
  const defaultK = Math.min(defaults.k, examples);
  const priors = defaults.priorCorrection
    ? new Map(labels.map(({ label, examples: count }) => [label, count / examples]))
    : undefined;
  const versions = {
    index: { name, version },
    encoder: { name: encoder.name, version: encoder.version },
  };

  async function embed(
    bytes: Uint8Array,
    signal: Cancellation | undefined,
  ): Promise<Embedded & { readonly decodeMs: number }> {
    const started = performance.now();
    const pixels = await decoder.decode(bytes, signal);
    const decodeMs = performance.now() - started;
    return { ...(await pool.embed(pixels, { signal })), decodeMs };
  }

  return {
    index: { name, version, examples },
    encoder,
    labels: labels.map(({ label }) => label).sort(),
    defaultK,
    calibration,

    classify: async (bytes, ask = {}) => {
      const { signal, k = defaultK, neighbours: shown = defaultShown } = ask;
      if (k > examples) {
        throw new NearvoteError(
          'k_too_large',
          `Expected k to be at most ${examples}, the size of the index, but received ${k}`,
        );
      }
      const { embedding, decodeMs, queueMs, encodeMs } = await embed(bytes, signal);
      const nearest = await neighbours.search(embedding, { k, shown, signal });
      const { similarities, searchMs } = nearest;
      const started = performance.now();
      const ballots = nearest.labels.map((label, i) => ({ label, similarity: similarities[i] ?? NaN }));
      const scores = vote(ballots, {
        rule: ask.vote ?? defaults.rule,
        temperature: defaults.temperature,
        priors,
      });
      const [top] = scores;
      const [topSimilarity] = similarities;
      if (top === undefined || topSimilarity === undefined) {
        throw new NearvoteError('internal', 'Expected at least one neighbour but received none');
      }
      const isDefault = ask.k === undefined && ask.vote === undefined;
      const judged =
        calibration && isDefault
          ? {
              ...judge(calibration, foundOf(scores, similarities), embedding),
              // Where nothing fitted did better, the confidence is still the share of the vote.
              calibrated: calibration.confidence.kind !== 'share',
            }
          : { confidence: top.score, outcome: 'known' as const, calibrated: false };
      return {
        decision: {
          id: createId(),
          label: top.label,
          ...judged,
          scores,
          neighbours: nearest.examples.map(({ id, label, source }, i) => ({
            ...{ id, label, source },
            similarity: similarities[i] ?? NaN,
          })),
          ...versions,
        },
        topSimilarity,
        timings: { decodeMs, queueMs, encodeMs, searchMs, voteMs: performance.now() - started },
      };
    },

    embed: async (bytes, ask = {}) => {
      const { embedding, decodeMs, queueMs, encodeMs } = await embed(bytes, ask.signal);
      return { embedding, timings: { decodeMs, queueMs, encodeMs, searchMs: 0, voteMs: 0 } };
    },
  };
}
