import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { judgeCalibration, servedCalibration, type ServedCalibration } from './examples/calibration-file.js';
import { createClassifier, type Classifier } from './classify.js';
import { NearvoteError } from './domain/errors.js';
import { readEncoderManifest } from './encoder/load.js';
import { encoderIdentity, type EncoderManifest } from './encoder/manifest.js';
import { createEncoderPool, type EncoderPool } from './encoder/pool/pool.js';
import { createSharedPools, type SharedPools } from './encoder/pool/shared-pools.js';
import { createDecoder, type DecodeLimits, type Decoder } from './image/decode.js';
import { openLeasedIndex, type LeasedIndex } from './examples/lease.js';
import { openIndexOwner } from './neighbours/index-owner.js';
import { checkEncoder, contentDigest, readPublished, type PublishedVersion } from './examples/index-store.js';
import type { Neighbours } from './neighbours/neighbours.js';
import { isIndexUrl, parseIndexUrl, type IndexUrl } from './postgres/index-url.js';
import type { Calibration, CalibrationOrigin, VoteSettings } from './vote/calibration.js';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

/** The index that the package ships: its name for whoever is elsewhere, and its place. */
export const shippedIndex = { name: 'index/cifar10', dir: join(packageRoot, 'index/cifar10') } as const;

/** A path from the current folder; where nothing is there, what the package ships under that name. */
export function resolveShipped(path: string): string {
  const local = resolve(path);
  if (isAbsolute(path) || existsSync(local)) return local;
  const shipped = join(packageRoot, path);
  return existsSync(shipped) ? shipped : local;
}

/** A published version and the encoder it was built with, as their manifests describe them; neither is opened. */
export interface Pair {
  readonly published: PublishedVersion;
  readonly encoderDir: string;
  readonly encoder: EncoderManifest;
  /** What lies beside the index, for this version and this encoder. */
  readonly calibration: ServedCalibration;
  /** Where it lies in PostgreSQL; of one in a folder there is none. */
  readonly url?: IndexUrl | undefined;
}

/**
 * Finds what an index has published, and its encoder in the folder `models`.
 * @throws NearvoteError `index_missing`, `index_invalid`, `encoder_*`
 */
async function findPair(options: Pick<OpenPairOptions, 'index' | 'models' | 'encoderDir'>): Promise<Pair> {
  if (isIndexUrl(options.index)) return findStored(parseIndexUrl(options.index), options.models);
  const root = resolveShipped(options.index);
  return pairOf(root, await readPublished(root), options);
}

/** Loaded when needed: most servers have their indexes in folders. */
async function findStored(url: IndexUrl, models: string): Promise<Pair> {
  const { readStoredIndex } = await import('./postgres/stored-index.js');
  const { published, calibration } = await readStoredIndex(url);
  const { encoder, encoderDir } = await findEncoder(published, models);
  const { version, manifest } = published;
  const judged =
    calibration === undefined
      ? ({ kind: 'absent' } as const)
      : judgeCalibration(calibration, {
          ...{ version, manifest, digest: contentDigest(manifest) },
          encoder: encoderIdentity(encoder),
        });
  return { published, encoder, encoderDir, calibration: judged, url };
}

async function pairOf(
  root: string,
  published: PublishedVersion,
  options: Pick<OpenPairOptions, 'models' | 'encoderDir'>,
): Promise<Pair> {
  const { encoder, encoderDir } =
    options.encoderDir === undefined
      ? await findEncoder(published, options.models)
      : await theEncoder(published, options.encoderDir);
  const calibration = await servedCalibration(root, {
    version: published.version,
    digest: contentDigest(published.manifest),
    manifest: published.manifest,
    encoder: encoderIdentity(encoder),
  });
  return { published, encoderDir, encoder, calibration };
}

/**
 * The encoder that an index was built with: where it was then, in the folder `models`, or shipped under its name.
 * The first that has its hash is taken.
 * @throws NearvoteError `encoder_*`, naming every place
 */
export async function findEncoder(
  published: PublishedVersion,
  models: string,
): Promise<Pick<Pair, 'encoderDir' | 'encoder'>> {
  const places = await placesOf(published, models);
  const faults: NearvoteError[] = [];
  for (const { dir: encoderDir } of places) {
    try {
      return await theEncoder(published, encoderDir);
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
      faults.push(error);
    }
  }
  // One that is there and is another says more than one that is not there.
  const fault = faults.find(({ code }) => code !== 'encoder_missing') ?? faults[0];
  const { name, sha256 } = published.manifest.encoder;
  const missing = `Expected the encoder of index ${published.name}, ${name} with sha256 ${sha256}, but it is in none of these places`;
  const looked = places.map(({ dir, what }) => `${dir} (${what})`).join(', then ');
  throw new NearvoteError(
    fault?.code ?? 'encoder_missing',
    `${fault === undefined || fault.code === 'encoder_missing' ? missing : fault.message}. Looked in ${looked}; --models DIR names another folder of encoders`,
    { cause: fault },
  );
}

/** @throws NearvoteError `encoder_*` where another lies there */
async function theEncoder(
  published: PublishedVersion,
  encoderDir: string,
): Promise<Pick<Pair, 'encoderDir' | 'encoder'>> {
  const encoder = await readEncoderManifest(encoderDir);
  checkEncoder(published, encoderIdentity(encoder));
  return { encoderDir, encoder };
}

interface Place {
  readonly dir: string;
  /** In words, for an error. */
  readonly what: string;
}

/** Where the encoder of an index may be, in the order in which it is looked for. */
async function placesOf({ dir, manifest }: PublishedVersion, models: string): Promise<Place[]> {
  const { name, path } = manifest.encoder;
  const root = dirname(dir);
  const hinted = path === undefined ? undefined : resolve(await realpath(root).catch(() => root), path);
  const among = join(models, name);
  const places = [
    ...(hinted === undefined ? [] : [{ dir: hinted, what: 'where it was when the index was built' }]),
    { dir: resolve(among), what: 'the folder of encoders' },
    ...(isAbsolute(models) ? [] : [{ dir: join(packageRoot, among), what: 'shipped with nearvote' }]),
  ];
  return places.filter(({ dir: one }, i) => places.findIndex((other) => other.dir === one) === i);
}

/** Where encoders run. */
interface PoolOptions {
  readonly workers: number;
  readonly threads: number;
  readonly maxBatch?: number | undefined;
  /** Most images waiting. */
  readonly maxQueue: number;
  /** Execution providers of ONNX Runtime, the preferred one first; the processor's unless told. */
  readonly providers?: readonly string[] | undefined;
  /** In milliseconds; 30 s unless told. */
  readonly workerDeadline?: number | undefined;
  /** Other processes are serving meanwhile. */
  readonly besideOthers?: boolean | undefined;
  /** Whether a lone image gets every core; no unless told. */
  readonly wide?: boolean | undefined;
  readonly onBatch?: ((size: number) => void) | undefined;
  readonly onRestart?: ((reason: string) => void) | undefined;
}

/**
 * Starts the workers of a pair's encoder; no index is loaded.
 * @throws NearvoteError `encoder_*`, `dependency_missing`, `worker_failed`
 */
function openPool(
  { encoderDir, encoder }: Pick<Pair, 'encoderDir' | 'encoder'>,
  { workerDeadline, ...options }: PoolOptions,
): Promise<EncoderPool> {
  return createEncoderPool({ ...options, encoderDir, manifest: encoder, batchDeadlineMs: workerDeadline });
}

/** A pair for offline work, with its examples; no build removes them until it is disposed of. */
export interface OfflinePair extends Pair, AsyncDisposable {
  readonly index: LeasedIndex;
}

/**
 * Opens a pair for offline work: neither workers nor a search are started.
 * @throws NearvoteError `index_*`, `encoder_*`
 */
export async function openOffline(options: {
  readonly index: string;
  readonly models: string;
}): Promise<OfflinePair> {
  const root = resolveShipped(options.index);
  const index = await openLeasedIndex(root);
  const close = async (): Promise<void> => {
    await index[Symbol.asyncDispose]();
  };
  try {
    return { ...(await pairOf(root, index, options)), index, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What runs in processes of its own: a worker that encodes, or the owner of the index. */
export type PairProcess = 'encoder' | 'index';

/** A pair that answers: decoder, a share in the workers of the encoder, and the owner of the index. */
export interface OpenPair extends Pair {
  readonly decoder: Decoder;
  readonly pool: EncoderPool;
  readonly neighbours: Neighbours;
}

export interface OpenPairOptions extends Omit<PoolOptions, 'onRestart'>, DecodeLimits {
  readonly index: string;
  /** What answers call the index; the name of its folder unless told. */
  readonly name?: string | undefined;
  readonly models: string;
  /** Where its encoder is, where that is known; looked for otherwise. */
  readonly encoderDir?: string | undefined;
  readonly search: 'auto' | 'exact';
  /** Whether the index may be changed; whoever may holds its writer's lock. No unless told. */
  readonly access?: 'read' | 'write' | undefined;
  /** Told why a build may remove the version that is served, where it may. */
  readonly onUnprotected?: ((reason: string) => void) | undefined;
  /** Where the pairs of one process share their encoders; the pool is this pair's own unless told. */
  readonly pools?: SharedPools | undefined;
  /** Told when the database of an index in PostgreSQL or its replica is lost, and when it is back. */
  readonly onDatabase?: ((message: string) => void) | undefined;
  /** Told why an encoder that was started is slower than this machine allows, where it is. */
  readonly onSlower?: ((reason: string) => void) | undefined;
  /** Told why a process ended that nobody had told to; it is replaced. */
  readonly onProcessEnd?: ((process: PairProcess, reason: string) => void) | undefined;
}

const attempts = 3;

/**
 * Opens an index and its encoder as a pair.
 * @throws NearvoteError `index_*`, `encoder_*`, `worker_failed`
 */
export async function openPair(options: OpenPairOptions): Promise<OpenPair> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openPublished(options);
    } catch (error) {
      // A build may publish, and remove what was published before, between the reading of the two.
      const isGone = error instanceof NearvoteError && error.code === 'index_missing';
      if (!isGone || attempt === attempts) throw error;
    }
  }
}

async function openPublished(options: OpenPairOptions): Promise<OpenPair> {
  const { pools = createSharedPools() } = options;
  const found = await findPair(options);
  const published = { ...found.published, name: options.name ?? found.published.name };
  const pair = { ...found, published };
  const startPool = async (): Promise<EncoderPool> => {
    const onRestart = (reason: string): void => options.onProcessEnd?.('encoder', reason);
    const pool = await openPool(pair, { ...options, onRestart, wide: true });
    if (pool.slower !== undefined) options.onSlower?.(pool.slower);
    return pool;
  };
  const owning = openNeighbours(pair, options);
  const [pool, neighbours] = await Promise.allSettled([pools.share(pair.encoder, startPool), owning]);
  if (pool.status === 'fulfilled' && neighbours.status === 'fulfilled') {
    const decoder = createDecoder({ ...options, geometry: pair.encoder.input.geometry });
    return { ...pair, decoder, pool: pool.value, neighbours: neighbours.value };
  }
  // Whichever of the two did open is closed again.
  if (pool.status === 'fulfilled') await pool.value.close();
  if (neighbours.status === 'fulfilled') await neighbours.value.close();
  throw pool.status === 'rejected' ? pool.reason : (neighbours as PromiseRejectedResult).reason;
}

async function openNeighbours(
  { published, encoder, url }: Pair,
  options: OpenPairOptions,
): Promise<Neighbours> {
  const { search, access, threads, workers, workerDeadline, besideOthers, onProcessEnd, onUnprotected } =
    options;
  if (url !== undefined) {
    const { openPostgresIndex } = await import('./postgres/postgres-index.js');
    const { digest, sha256 } = encoderIdentity(encoder);
    // An older nearvote's manifest knows the model file alone.
    const known = published.manifest.encoder.digest === undefined ? sha256 : digest;
    return openPostgresIndex({
      ...{ url, name: published.name, search, access: access ?? 'read', now: () => new Date() },
      encoder: { digest: known, dimension: encoder.output.dimension },
      onDatabase: options.onDatabase,
    });
  }
  return openIndexOwner({
    ...published,
    ...{ search, access, threads: threads * workers, besideOthers, onUnprotected },
    searchDeadlineMs: workerDeadline,
    onRestart: (reason) => onProcessEnd?.('index', reason),
  });
}

export interface ClassifierChoice {
  /** For requests without their own. */
  readonly defaults: VoteSettings;
  readonly calibration: Calibration | undefined;
  readonly calibrationOrigin?: CalibrationOrigin | undefined;
  /** Share of the examples past which a calibration is stale; a fifth unless told. */
  readonly staleAfter?: number | undefined;
}

/** The classifier of a pair. */
export function classifierOf(pair: OpenPair, choice: ClassifierChoice): Classifier {
  const { encoder, decoder, pool, neighbours } = pair;
  return createClassifier({
    decoder,
    pool,
    neighbours,
    encoder: {
      name: encoder.name,
      version: encoder.version,
      dimension: encoder.output.dimension,
      runtime: pool.runtime,
    },
    encoderDigest: encoderIdentity(encoder).digest,
    ...choice,
    createId: randomUUID,
  });
}
