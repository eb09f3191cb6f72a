import { createHash, randomBytes } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import { packFingerprints, recognise } from '../domain/fingerprints.js';
import { syncPath, writeDurably, writing } from '../files/durable.js';
import { lockFolder } from '../files/lock.js';
import { parseJson, readCurrent, type EncoderIdentity, type IndexManifest } from './index-store.js';
import { stagingPrefix } from './publish.js';
import type { CalibrationOrigin, VoteSettings } from '../vote/calibration.js';
import { voteRules } from '../vote/rules.js';
import { unknownRules } from '../vote/unknown.js';

const share = z.number().min(0).max(1);

const isAscending = (values: readonly number[]): boolean =>
  values.every((value, i) => i === 0 || value > (values[i - 1] ?? NaN));
const neverFalls = (values: readonly number[]): boolean =>
  values.every((value, i) => i === 0 || value >= (values[i - 1] ?? NaN));

const confidenceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('share') }),
  z.strictObject({ kind: z.literal('temperature'), slope: z.number().min(0), bias: z.number() }),
  z
    .strictObject({
      kind: z.literal('isotonic'),
      shares: z.array(share).min(1).refine(isAscending, 'Expected ascending shares'),
      probabilities: z.array(share).refine(neverFalls, 'Expected probabilities that never fall'),
    })
    .refine(({ shares, probabilities }) => shares.length === probabilities.length, {
      message: 'Expected as many probabilities as shares',
    }),
  z
    .strictObject({
      kind: z.literal('logistic'),
      weights: z.array(z.number()).length(5),
      bias: z.number(),
      directions: z
        .array(z.strictObject({ label: z.string(), direction: z.array(z.number()).min(1) }))
        .min(2),
    })
    .refine(({ directions }) => new Set(directions.map(({ direction }) => direction.length)).size === 1, {
      message: 'Expected directions of one dimension',
    }),
]);

const binsSchema = z
  .strictObject({
    edges: z.array(z.number()).refine(isAscending, 'Expected ascending edges'),
    counts: z.array(z.int().min(0)),
  })
  .refine(({ edges, counts }) => counts.length === edges.length + 1, {
    message: 'Expected one count more than edges',
  });

const figuresSchema = z.strictObject({
  accuracy: share,
  ece: z.number(),
  brier: z.number(),
  nll: z.number(),
  auroc: z.number().nullable(),
});

/** Older versions of nearvote wrote none: whoever meets such a file is told what helps. */
const sha256Schema = z
  .string('Expected a sha256, which older versions of nearvote did not write: calibrate again')
  .regex(/^[0-9a-f]{64}$/);

/** What a calibration says; `index/<name>/calibration.json` holds it with a digest. */
const calibrationSchema = z.strictObject({
  /** 1 had a k and a temperature of its own, which changed labels. */
  schemaVersion: z.literal(2, 'Expected 2, but another version of nearvote wrote it: calibrate again'),
  /** It holds for an index of this content, and this encoder, alone. */
  index: z.strictObject({
    name: z.string().min(1),
    version: z.string().min(1),
    /** Of its content, as `contentDigest` makes it; where an older version of nearvote wrote none, the version decides. */
    digest: sha256Schema.optional(),
  }),
  encoder: z.strictObject({
    name: z.string().min(1),
    /** Of the model file. */
    sha256: sha256Schema,
    /** Of all that decides an embedding, the geometry too. */
    digest: sha256Schema,
  }),
  createdAt: z.iso.datetime(),
  dataset: z.string(),
  seed: z.int().min(0),
  /** How many it was fitted on. */
  images: z.int().min(1),
  /** Images that are in the index too: over 0 only where it was forced, and then everything here is optimistic. */
  overlap: z.int().min(0),
  vote: z.strictObject({
    rule: z.enum(voteRules),
    temperature: z.number().positive(),
    k: z.int().min(1),
    priorCorrection: z.boolean(),
  }),
  confidence: confidenceSchema,
  unknown: z.strictObject({
    rule: z.enum(unknownRules),
    epsilon: z.number().gt(0).lt(1),
    familiarities: z.array(z.number()).min(1).refine(neverFalls, 'Expected ascending familiarities'),
    /** What p < epsilon comes to: below it is unknown; null where nothing can be. For people: it decides nothing. */
    threshold: z.number().nullable(),
    /** Share of the calibration images that the threshold keeps. */
    truePositiveRate: share,
  }),
  topSimilarity: binsSchema,
  /** As measured by cross-validation when it was fitted. */
  figures: z.strictObject({ before: figuresSchema, after: figuresSchema }),
  /** Which images all of this was fitted on, so that figures measured on the same ones can be told. */
  fingerprints: z.base64(),
});

/** `index/<name>/calibration.json`: `sha256` is of all the rest, so that an edit is noticed. */
const calibrationFileSchema = calibrationSchema.extend({ sha256: sha256Schema });

export type CalibrationFile = z.infer<typeof calibrationSchema>;

const calibrationFile = 'calibration.json';

/**
 * Reads `index/<name>/calibration.json`; undefined where there is none.
 * @throws NearvoteError `calibration_invalid` naming the field that is wrong
 */
export async function readCalibration(root: string): Promise<CalibrationFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(root, calibrationFile), 'utf8');
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return undefined;
    throw new NearvoteError('calibration_invalid', `Expected ${calibrationFile} but it cannot be read`, {
      cause,
    });
  }
  return parseCalibration(text);
}

/** @throws NearvoteError `calibration_invalid` naming the field that is wrong */
export function parseCalibration(text: string): CalibrationFile {
  const parsed = calibrationFileSchema.safeParse(parseJson(text));
  if (parsed.success) {
    const { sha256, ...calibration } = parsed.data;
    if (sha256 === digestOf(calibration)) return calibration;
    throw new NearvoteError(
      'calibration_invalid',
      `Expected ${calibrationFile} as it was written but it was changed since: calibrate again`,
    );
  }
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new NearvoteError(
    'calibration_invalid',
    `Expected a valid ${calibrationFile} but ${field === '' ? 'the whole' : field} is wrong: ${issue?.message ?? ''}`,
  );
}

/**
 * Writes the calibration of the version that is published, in one rename, while no build can publish another.
 * @throws NearvoteError `index_changed` when that is not the version it was fitted for, `output_unwritable`
 */
export async function writeCalibration(root: string, calibration: CalibrationFile): Promise<void> {
  const text = textOf(calibration);
  await writing(root, async () => {
    const lock = await lockFolder(root);
    const staged = join(root, `${stagingPrefix}calibration-${randomBytes(4).toString('hex')}`);
    try {
      const version = await readCurrent(root);
      if (version !== calibration.index.version) {
        throw new NearvoteError(
          'index_changed',
          `Expected index ${basename(resolve(root))} to be at version ${calibration.index.version}, as when the calibration began, but it is at ${version}; calibrate again`,
        );
      }
      await writeDurably(staged, text);
      await lock.assertHeld();
      await rename(staged, join(root, calibrationFile));
      await syncPath(root);
    } finally {
      await rm(staged, { force: true });
      await lock.release();
    }
  });
}

/**
 * The calibration beside an index as it is written, where it holds for this version of it.
 * @throws NearvoteError `calibration_invalid`
 */
export async function calibrationText(
  root: string,
  version: Pick<ServedPair, 'version' | 'digest' | 'manifest'>,
): Promise<string | undefined> {
  const calibration = await readCalibration(root);
  if (calibration === undefined || originOf(calibration.index, version) === undefined) return undefined;
  return textOf(calibration);
}

const textOf = (calibration: CalibrationFile): string =>
  `${JSON.stringify(calibrationFileSchema.parse({ ...calibration, sha256: digestOf(calibration) }))}\n`;

/** Puts a calibration that was read elsewhere beside an index, in one rename; whoever does holds the lock of a build. */
export async function installCalibration(root: string, text: string): Promise<void> {
  const staged = join(root, `${stagingPrefix}calibration-${randomBytes(4).toString('hex')}`);
  await writeDurably(staged, text);
  await rename(staged, join(root, calibrationFile));
  await syncPath(root);
}

/** Of everything in it but the digest itself, whatever the order of its fields was. */
function digestOf(calibration: CalibrationFile): string {
  return createHash('sha256')
    .update(JSON.stringify(calibrationSchema.parse(calibration)))
    .digest('hex');
}

/** What becomes of the calibration beside an index. */
export type ServedCalibration =
  | { readonly kind: 'active'; readonly calibration: CalibrationFile; readonly origin: CalibrationOrigin }
  | { readonly kind: 'absent' }
  /** There is one, and it must not be used; the reason is for a log. */
  | { readonly kind: 'ignored'; readonly reason: string };

/** The index version and encoder that are to be served. */
export interface ServedPair {
  readonly version: string;
  /** Of the version's content. */
  readonly digest: string;
  readonly manifest: Pick<IndexManifest, 'labels' | 'lineage'>;
  readonly encoder: Pick<EncoderIdentity, 'name' | 'sha256' | 'digest'>;
}

/**
 * The calibration of `index/<name>` where it was fitted for this very pair: other examples or another encoder have other
 * similarities. A rebuild that comes back to the same content comes back to its calibration, and a version that was made
 * by changes keeps that of the versions it was made from. Never throws: a pair without a calibration serves as well.
 */
export async function servedCalibration(root: string, pair: ServedPair): Promise<ServedCalibration> {
  let calibration: CalibrationFile | undefined;
  try {
    calibration = await readCalibration(root);
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    return { kind: 'ignored', reason: error.message };
  }
  return calibration === undefined ? { kind: 'absent' } : judgeCalibration(calibration, pair);
}

/** Whether a calibration was fitted for this very pair. */
export function judgeCalibration(calibration: CalibrationFile, pair: ServedPair): ServedCalibration {
  const { index, encoder } = calibration;
  const origin = originOf(index, pair);
  if (origin === undefined) {
    return {
      kind: 'ignored',
      reason: `Expected a calibration for index version ${pair.version} but it is for ${index.version}; calibrate again`,
    };
  }
  if (encoder.sha256 !== pair.encoder.sha256) {
    return {
      kind: 'ignored',
      reason: `Expected a calibration for encoder ${pair.encoder.name} with sha256 ${pair.encoder.sha256} but it is for ${encoder.name} with ${encoder.sha256}; calibrate again`,
    };
  }
  if (encoder.digest !== pair.encoder.digest) {
    return {
      kind: 'ignored',
      reason: `Expected a calibration for encoder ${pair.encoder.name} as its encoder.json is now, but the geometry or the names of input or output have changed since; calibrate again`,
    };
  }
  return { kind: 'active', calibration, origin };
}

/** What a version has to do with the one that a calibration was fitted for, if it has anything. */
function originOf(
  fitted: CalibrationFile['index'],
  { version, digest, manifest }: Pick<ServedPair, 'version' | 'digest' | 'manifest'>,
): CalibrationOrigin | undefined {
  const labels = manifest.labels.map(({ label }) => label);
  const own = { version, digest, changed: 0, newLabels: [] };
  const from = [own, ...(manifest.lineage ?? [])].find((one) =>
    fitted.digest === undefined ? one.version === fitted.version : one.digest === fitted.digest,
  );
  if (from === undefined) return undefined;
  const unseen = new Set<string>(from.newLabels);
  return {
    fittedFor: fitted.version,
    changed: from.changed,
    labels: new Set(labels.filter((label) => !unseen.has(label))),
  };
}

/** How whoever started a command wants votes counted. */
export interface VoteChoice {
  readonly settings: VoteSettings;
  /** Some of it was set, as an option or a variable: a calibration, fitted for other settings, does not apply. */
  readonly isExplicit: boolean;
}

/** The calibration that applies, and where there is one that does not, why: in a sentence for a log. */
export function applyCalibration(
  served: ServedCalibration,
  { isExplicit }: VoteChoice,
): {
  readonly calibration?: CalibrationFile;
  readonly origin?: CalibrationOrigin;
  readonly warning?: string;
} {
  if (served.kind === 'absent') return {};
  if (served.kind === 'ignored') return { warning: `calibration.json is not used: ${served.reason}` };
  if (isExplicit) {
    return {
      warning:
        'calibration.json is not used: it holds for the k, vote, temperature and prior correction it was fitted with, and some were set here',
    };
  }
  return { calibration: served.calibration, origin: served.origin };
}

/** Images as a text in which each can be found again, and from which none can be made. */
export function fingerprintsOf(keys: Iterable<Uint8Array>): string {
  return Buffer.from(packFingerprints(keys)).toString('base64');
}

/** Whether an image, by its key, is one of those that the text was made of. */
export function recogniseIn(fingerprints: string): (key: Uint8Array) => boolean {
  return recognise(Buffer.from(fingerprints, 'base64'));
}
