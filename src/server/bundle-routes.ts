import { readFile, rm, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Router, type Request, type Response } from 'express';
import { exportAside, importAside } from '../curate/carry-aside.js';
import type { ExportedIndex } from '../curate/export-index.js';
import { sequenceOf } from '../curate/kept-versions.js';
import type { ImportedIndex } from '../curate/import-index.js';
import { NearvoteError } from '../domain/errors.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { installCalibration } from '../examples/calibration-file.js';
import { serveAgain, versionsKept } from '../examples/publish.js';
import type { OpenPair } from '../pair.js';
import { folderOf, loadedPair } from './asked-index.js';
import { digestOf, reprDigest, saveBody } from './bundle-body.js';
import { takeBundlePlace, type BundlePlace } from './bundle-place.js';
import { exportQuery, importQuery, type ImportedBody } from './bundle-schemas.js';
import type { ExampleRouteParts } from './example-routes.js';
import { limitStalling } from './exchange.js';
import { routes } from './routes.js';
import { parseQuery } from './schemas.js';
import type { ServedIndex } from './serving.js';

export interface BundleRouteParts extends Required<Pick<ExampleRouteParts, 'serving' | 'writers'>> {
  /** The largest bundle that is taken. */
  readonly maxBundleBytes: number;
  /** For which a client may take nothing of a bundle, or send nothing of it. */
  readonly writeTimeoutMs: number;
}

interface Exchange {
  readonly req: Request;
  readonly res: Response;
}

/** An index that is served as one file: sent to whoever asks, and taken as what is served next. */
export function createBundleRouter(parts: BundleRouteParts): Router {
  const { serving, writers = [], maxBundleBytes, writeTimeoutMs } = parts;
  const router = Router({ strict: true, caseSensitive: true });

  // A bundle is not made for its headers alone: the app refuses it.
  router.head(routes.exportBundle.path, (_req, _res, next) => next('router'));

  router.get(routes.exportBundle.path, ...writers, async (req, res) => {
    const { index, version, asPublished, encoder } = parseQuery(exportQuery, req.query);
    const served = serving.find(index);
    const root = folderOf(served);
    const place = await takeBundlePlace(served.name, root);
    try {
      if (version === undefined && asPublished !== 'true') await fold(served);
      const exported = await exportAside({
        ...{ root, out: place.dir, version },
        encoderDir: encoder === 'true' ? loadedPair(served).encoderDir : undefined,
      }).catch(asQuery);
      await send({ req, res }, exported, { stallMs: writeTimeoutMs, name: served.name, place });
    } finally {
      await place.leave();
    }
  });

  router.post(routes.importBundle.path, ...writers, async (req, res) => {
    const { index, sha256 = digestOf(req), replace } = parseQuery(importQuery, req.query);
    const served = serving.find(index);
    served.changes.requireWritable();
    const root = folderOf(served);
    const place = await takeBundlePlace(served.name, root);
    let published: ImportedBody;
    try {
      const file = join(place.dir, 'body.tar');
      await saveBody(file, { req, res, limit: maxBundleBytes, stallMs: writeTimeoutMs });
      const told = { file, sha256, replace: replace === 'true' };
      published = await publishBundle(served, told).catch((error: unknown) => named(error, file));
    } finally {
      await place.leave();
    }
    res.json(published);
  });
  return router;
}

/** @throws NearvoteError `index_readonly` where there are changes that this server may not fold in */
async function fold(served: ServedIndex): Promise<void> {
  const { neighbours, published } = loadedPair(served);
  if (neighbours.state.sequence === sequenceOf(published)) return;
  await served.changes.compact().catch((error: unknown) => {
    if (!(error instanceof NearvoteError) || error.code !== 'index_readonly') throw error;
    const hint = 'asPublished=true leaves out the changes since its version';
    throw new NearvoteError(error.code, `${error.message}; ${hint}`, { cause: error });
  });
}

function asQuery(error: unknown): never {
  if (!(error instanceof NearvoteError) || error.code !== 'usage') throw error;
  throw new NearvoteError('query_invalid', error.message, { cause: error });
}

interface Sending {
  /** In the name of the file. */
  readonly name: string;
  readonly stallMs: number;
  readonly place: BundlePlace;
}

/** Sends a file that is gone from its folder by then: whatever becomes of the client, nothing is left. */
async function send(
  { req, res }: Exchange,
  { path, sha256, bytes }: ExportedIndex,
  { name, stallMs, place }: Sending,
): Promise<void> {
  const gone = (options?: ErrorOptions): NearvoteError =>
    new NearvoteError('client_gone', 'The client closed the connection before the whole bundle', options);
  const file = await open(path);
  try {
    await rm(path);
    if (req.socket.destroyed) throw gone();
    res.attachment(`${name}-${sha256}.tar`);
    res.type('application/x-tar');
    res.setHeader('Content-Length', bytes);
    res.setHeader('Repr-Digest', reprDigest(sha256));
    limitStalling({ req, res }, stallMs);
    await pipeline(leavingFirst(file.createReadStream({ autoClose: false }), place), res);
  } catch (error) {
    if (!req.socket.destroyed || error instanceof NearvoteError) throw error;
    throw gone({ cause: error });
  } finally {
    await file.close();
  }
}

/** Whoever has the last piece may ask for the next bundle. */
async function* leavingFirst(content: AsyncIterable<Buffer>, place: BundlePlace): AsyncGenerator<Buffer> {
  let last: Buffer | undefined;
  for await (const piece of content) {
    if (last !== undefined) yield last;
    last = piece;
  }
  await place.leave();
  if (last !== undefined) yield last;
}

interface Told {
  readonly file: string;
  readonly sha256: string | undefined;
  readonly replace: boolean;
}

async function publishBundle(served: ServedIndex, { file, sha256, replace }: Told): Promise<ImportedBody> {
  let former: OpenPair | undefined;
  let calibration: string | undefined;
  const {
    version,
    sequence,
    examples,
    changed,
    sha256: digest,
  } = await served.changes.replace({
    fold: replace,
    publish: async (): Promise<ImportedIndex> => {
      const root = folderOf(served);
      former = loadedPair(served);
      calibration = await readFile(join(root, 'calibration.json'), 'utf8').catch(() => undefined);
      const encoder = encoderIdentity(former.encoder);
      return importAside({ ...{ root, file, sha256, replace, keep: versionsKept }, served: { encoder } });
    },
    undo: async () => {
      if (former === undefined) return;
      const root = dirname(former.published.dir);
      await serveAgain(root, former.published.version);
      if (calibration !== undefined) await installCalibration(root, calibration);
    },
  });
  return {
    ...{ name: served.name, version, sequence, examples, changed, sha256: digest },
    former: former?.published.version ?? version,
  };
}

/** Where the body lies for a while is nobody's matter. @throws the error, in other words */
function named(error: unknown, file: string): never {
  if (!(error instanceof NearvoteError) || !error.message.includes(file)) throw error;
  throw new NearvoteError(error.code, error.message.replaceAll(file, 'the body'), { cause: error });
}
