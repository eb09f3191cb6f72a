import { basename, join } from 'node:path';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { measureConfidence } from '../evaluate/measure-confidence.js';
import { fingerprintsOf, writeCalibration, type CalibrationFile } from '../examples/calibration-file.js';
import { checkHasExamples, contentDigest, readPublished } from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../neighbours/embedded-index.js';
import { checkK, type NearestRows } from '../neighbours/searcher.js';
import type { VoteSettings } from '../vote/calibration.js';
import type { UnknownRule } from '../vote/unknown.js';
import type { CalibrateReport } from './calibrate.js';
import { checkCount, checkHelps, checkLabels } from './check-images.js';
import { describeCalibration, directionsOf, directionsWithout, fitCalibration } from './fit-calibration.js';
import { replacedBy, type ReplacementChoice } from './replaced-calibration.js';

export interface CalibrateTaughtOptions extends ReplacementChoice {
  /** `index/<name>`; its changes are folded into its version. */
  readonly root: string;
  /** Of the index. */
  readonly encoder: CalibrationFile['encoder'];
  /** Share of what was taught that is asked, in (0, 1], chosen by the images' digests. */
  readonly share: number;
  readonly search: 'auto' | 'exact';
  /** Of exact search. */
  readonly threads: number;
  /** How the index votes: a calibration keeps it. */
  readonly vote: VoteSettings;
  /** Whether too large a k is brought down to the index; one that was asked for is refused. */
  readonly clampK: boolean;
  readonly unknownRule: UnknownRule;
  /** Share of known images that may be called unknown, in (0, 1). */
  readonly epsilon: number;
  readonly seed: number;
  readonly now: () => Date;
}

/**
 * Fits confidence and unknown rejection on examples that an index was taught, each asked with itself left out of the
 * search and of its label's mean direction, and writes them beside it.
 * @throws NearvoteError `dataset_invalid` where there are too few, or fewer than the calibration in place has, `index_*`, `k_too_large`, `output_unwritable`
 */
export async function calibrateTaught(options: CalibrateTaughtOptions): Promise<CalibrateReport> {
  const { root, search, threads, now } = options;
  const published = await readPublished(root);
  checkHasExamples(published);
  const lease = await leaseVersion(root, published.version);
  try {
    const index = await openEmbeddedIndex({ ...published, search, threads, access: 'read', now });
    try {
      const { name, version, manifest } = published;
      const fitted = await fit(index, options);
      const { seed, encoder } = options;
      const figures = {
        before: measureConfidence(fitted.answers.before, seed),
        after: measureConfidence(fitted.answers.after, seed),
      };
      const calibration = describeCalibration(fitted, {
        index: { name, version, digest: contentDigest(manifest) },
        ...{ encoder, seed, figures, createdAt: now(), overlap: 0 },
        dataset: 'examples that were taught, each left out',
        // They are in the index: whoever measures on them is told that already.
        fingerprints: fingerprintsOf([]),
      });
      const pair = { version, digest: contentDigest(manifest), manifest, encoder };
      const replaces = await replacedBy(calibration, { ...options, pair, state: index.state() });
      await writeCalibration(root, calibration);
      return {
        ...{ calibration, figures, losses: fitted.losses, unseen: fitted.unseen, replaces },
        ...{ rejected: [], leftOut: { images: 0, labels: [] }, trainedOn: 0 },
        file: join(root, 'calibration.json'),
      };
    } finally {
      await index.close();
    }
  } finally {
    await lease.release();
  }
}

type Fitted = ReturnType<typeof fitCalibration> & { readonly unseen: readonly string[] };

async function fit(index: EmbeddedIndex, options: CalibrateTaughtOptions): Promise<Fitted> {
  const { share, vote, clampK, unknownRule, epsilon, seed } = options;
  const { examples, embeddings, rowOf } = rowsOf(index);
  const counts = new Map(index.state().labels.map(({ label, examples: count }) => [label, count]));
  const chosen = index
    .taught()
    .filter(({ digest }) => isChosen(digest, share))
    .map(({ position }) => rowOf.get(position) ?? -1)
    // Without itself there would be no example of its label: nothing could be right about it.
    .filter((row) => (counts.get(examples[row]?.label ?? '') ?? 0) > 1);
  const truths = chosen.map((row) => examples[row]?.label ?? '');
  if (chosen.length === 0) throw nothingTaught(options);
  checkLabels(truths, counts.keys());
  if (!clampK) checkK(vote.k, examples.length);
  const k = Math.min(vote.k, examples.length - 1);
  checkCount(chosen.length, k);

  const { dimension, values } = embeddings;
  const asked = new Float32Array(chosen.length * dimension);
  for (const [i, row] of chosen.entries()) {
    asked.set(values.subarray(row * dimension, (row + 1) * dimension), i * dimension);
  }
  const queries = asEmbeddings(asked, dimension);
  const found = withoutThemselves(await index.search(queries, k + 1), chosen, rowOf);
  const fitted = fitCalibration(
    { truths, embeddings: queries, found, examples },
    {
      settings: { ...vote, k: Math.min(vote.k, examples.length) },
      directions: directionsOf(examples, embeddings),
      directionsWithout: directionsWithout(examples, embeddings, chosen),
      ...{ unknownRule, epsilon, seed },
    },
  );
  checkHelps(fitted.calibration);
  const seen = new Set(truths);
  return { ...fitted, unseen: [...counts.keys()].filter((label) => !seen.has(label)) };
}

function nothingTaught({ root, share }: CalibrateTaughtOptions): NearvoteError {
  const among = share < 1 ? ` in a share of ${share}` : '';
  return new NearvoteError(
    'dataset_invalid',
    `Expected examples that ${basename(root)} was taught, of labels with two or more, but it has none${among}; teach it first, or calibrate it on other images by nearvote calibrate --data`,
  );
}

/** The same images whenever it is asked, also once there are more. */
function isChosen(digest: string, share: number): boolean {
  return parseInt(digest.slice(0, 8), 16) < share * 2 ** 32;
}

interface Rows {
  readonly examples: readonly Example[];
  readonly embeddings: Embeddings;
  /** By position. */
  readonly rowOf: ReadonlyMap<number, number>;
}

/** The live examples without gaps. */
function rowsOf(index: EmbeddedIndex): Rows {
  const { dimension } = index;
  const positions = [...index.positions()];
  const values = new Float32Array(positions.length * dimension);
  for (const [row, position] of positions.entries()) values.set(index.embeddingAt(position), row * dimension);
  return {
    examples: positions.map((position) => index.exampleAt(position)),
    embeddings: asEmbeddings(values, dimension),
    rowOf: new Map(positions.map((position, row) => [position, row])),
  };
}

/** One fewer of each: itself, or the farthest where a graph has not found it. */
function withoutThemselves(
  nearest: NearestRows,
  asked: readonly number[],
  rowOf: Rows['rowOf'],
): NearestRows {
  const { count } = nearest;
  const k = nearest.k - 1;
  const rows = new Int32Array(count * k);
  const similarities = new Float32Array(count * k);
  for (const [query, own] of asked.entries()) {
    let out = query * k;
    for (let i = query * nearest.k; i < (query + 1) * nearest.k && out < (query + 1) * k; i++) {
      const row = rowOf.get(nearest.rows[i] ?? -1) ?? -1;
      if (row === own) continue;
      rows[out] = row;
      similarities[out++] = nearest.similarities[i] ?? NaN;
    }
  }
  return { count, k, rows, similarities };
}
