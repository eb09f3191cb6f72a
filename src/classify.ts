import type { Cancellation } from './domain/cancellation.js';
import { noneLabel, type Decision } from './domain/decision.js';
import { NearvoteError } from './domain/errors.js';
import type { RuntimeName } from './encoder/encoder.js';
import type { EncoderPool } from './encoder/pool/pool.js';
import type { Embedded } from './encoder/pool/queue.js';
import type { Decoder } from './image/decode.js';
import type { IndexState, Neighbours } from './neighbours/neighbours.js';
import { calibrationAge, judge } from './vote/calibration.js';
import type { Calibration, CalibrationAge, CalibrationOrigin, VoteSettings } from './vote/calibration.js';
import type { VoteRule } from './vote/rules.js';
import { foundOf } from './vote/unknown.js';
import { vote, type LabelShares } from './vote/vote.js';

interface ClassifyOptions {
  /** Explicit k: larger than the index is an error. Absent: the default, clamped to the index. */
  readonly k?: number | undefined;
  readonly vote?: VoteRule | undefined;
  /** How many neighbours to show, 5 unless told. */
  readonly neighbours?: number | undefined;
  /** Only a state of the index that has made this change is searched. */
  readonly atLeast?: number | undefined;
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
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
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

interface ServedIndex {
  readonly name: string;
  readonly version: string;
  readonly examples: number;
  /** Of its last change. */
  readonly sequence: number;
}

export interface Classifier {
  /** As it is now: an index may change while it answers. */
  readonly index: ServedIndex;
  readonly encoder: ServedEncoder;
  /** Tells its embeddings from those of any other, as hex. */
  readonly encoderDigest: string;
  readonly labels: readonly string[];
  /** The k of a request that sets none, clamped to the index. */
  readonly defaultK: number;
  readonly calibration: Calibration | undefined;
  /** How far the index has moved away from that; absent without one. */
  readonly calibrationAge: CalibrationAge | undefined;
  /** @throws NearvoteError `image_*`, `k_too_large`, `index_behind`, or what encoder and index throw */
  classify(bytes: Uint8Array, options?: ClassifyOptions): Promise<Classification>;
  /** @throws NearvoteError `image_*`, or what the encoder throws */
  embed(bytes: Uint8Array, options?: Pick<ClassifyOptions, 'signal'>): Promise<EmbedResult>;
}

export interface ClassifierOptions {
  readonly decoder: Decoder;
  readonly pool: Pick<EncoderPool, 'embed'>;
  readonly neighbours: Pick<Neighbours, 'version' | 'state' | 'search'>;
  readonly encoder: ServedEncoder;
  readonly encoderDigest: string;
  /** What a request without its own gets, unless there is a calibration. */
  readonly defaults: VoteSettings;
  /** Its own vote settings take the place of the defaults; a request with its own k or rule is not calibrated. */
  readonly calibration?: Calibration | undefined;
  /** Where that comes from; unless told, from the examples as they are. */
  readonly calibrationOrigin?: CalibrationOrigin | undefined;
  /** Share of the examples past which it is stale; a fifth unless told. */
  readonly staleAfter?: number | undefined;
  readonly createId: () => string;
}

const defaultShown = 5;

/** Joins the four stages: bytes -> pixels -> embedding -> neighbours -> decision. */
export function createClassifier(options: ClassifierOptions): Classifier {
  const { decoder, pool, neighbours, encoder, calibration, createId } = options;
  const { calibrationOrigin: origin, staleAfter } = options;
  const { name, version } = neighbours.version;
  const defaults = calibration?.vote ?? options.defaults;
  const priorsOf = createPriors();

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
    get index() {
      const { examples, sequence } = neighbours.state;
      return { name, version, examples, sequence };
    },
    encoder,
    encoderDigest: options.encoderDigest,
    get labels() {
      return neighbours.state.labels.map(({ label }) => label).sort();
    },
    get defaultK() {
      return Math.min(defaults.k, neighbours.state.examples);
    },
    calibration,
    get calibrationAge() {
      return origin === undefined ? undefined : calibrationAge(origin, neighbours.state, staleAfter);
    },

    classify: async (bytes, ask = {}) => {
      const { signal, k = defaults.k, neighbours: shown = defaultShown } = ask;
      const { examples } = neighbours.state;
      if (examples === 0) {
        throw new NearvoteError('index_empty', 'Expected an index with examples but it has none');
      }
      if (ask.k !== undefined && k > examples) {
        throw new NearvoteError(
          'k_too_large',
          `Expected k to be at most ${examples}, the size of the index, but received ${k}`,
        );
      }
      const { embedding, decodeMs, queueMs, encodeMs } = await embed(bytes, signal);
      const nearest = await neighbours.search(embedding, {
        ...{ k, clamped: ask.k === undefined, shown, signal, atLeast: ask.atLeast },
      });
      const { similarities, searchMs, state } = nearest;
      const started = performance.now();
      const ballots = nearest.labels.map((label, i) => ({ label, similarity: similarities[i] ?? NaN }));
      const scores = vote(ballots, {
        rule: ask.vote ?? defaults.rule,
        temperature: defaults.temperature,
        priors: defaults.priorCorrection ? priorsOf(state) : undefined,
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
              ...(origin === undefined ? {} : { calibration: calibrationAge(origin, state, staleAfter) }),
            }
          : { confidence: top.score, outcome: 'known' as const, calibrated: false };
      return {
        decision: {
          id: createId(),
          label: top.label,
          ...judged,
          ...(top.label === noneLabel ? { outcome: 'unknown' as const } : {}),
          scores,
          neighbours: nearest.examples.map(({ id, label, source }, i) => ({
            ...{ id, label, source },
            similarity: similarities[i] ?? NaN,
          })),
          index: { name, version, sequence: state.sequence },
          encoder: { name: encoder.name, version: encoder.version },
        },
        topSimilarity,
        embedding,
        timings: { decodeMs, queueMs, encodeMs, searchMs, voteMs: performance.now() - started },
      };
    },

    embed: async (bytes, ask = {}) => {
      const { embedding, decodeMs, queueMs, encodeMs } = await embed(bytes, ask.signal);
      return { embedding, timings: { decodeMs, queueMs, encodeMs, searchMs: 0, voteMs: 0 } };
    },
  };
}

/** The share of an index that each label has; counted once for each state that it is in. */
function createPriors(): (state: IndexState) => LabelShares {
  let of: IndexState | undefined;
  let shares: LabelShares = new Map();
  return (state) => {
    if (state !== of) {
      of = state;
      shares = new Map(state.labels.map(({ label, examples }) => [label, examples / state.examples]));
    }
    return shares;
  };
}
