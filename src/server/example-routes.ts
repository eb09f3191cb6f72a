import { dirname } from 'node:path';
import { Router, type Request, type RequestHandler, type Response } from 'express';
import type { Classifier } from '../classify.js';
import { describeKept } from '../curate/describe-index.js';
import { sequenceOf as sequenceOfVersion } from '../curate/kept-versions.js';
import type { Cancellation } from '../domain/cancellation.js';
import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import type { LoggedChange } from '../examples/journal-record.js';
import { contentDigest } from '../embed/image-key.js';
import type { Advice } from '../evaluate/advise.js';
import { keptPicture } from '../image/kept-picture.js';
import type { Changed, ChangeOutcome, ChangeRequest, NewExample } from '../neighbours/changes.js';
import { abandonSignal, unlessAbandoned } from './abandon.js';
import type { Admission } from './admission.js';
import { loadedPair, neighboursOf } from './asked-index.js';
import type { Reading, UploadLimits } from './body.js';
import {
  actsJson,
  readExamples,
  readJson,
  reasonJson,
  reasonOf,
  relabelJson,
  renameJson,
  type SentExample,
} from './example-body.js';
import {
  defaultListed,
  labelsQuery,
  listQuery,
  logQuery,
  type AddedBody,
  type ChangedBody,
  type VersionsBody,
  calibrationQuery,
} from './example-schemas.js';
import { toProblem } from './problems.js';
import { routes } from './routes.js';
import { parseIndexQuery, parseQuery } from './schemas.js';
import { servingClassifier, type ServedIndex, type Serving } from './serving.js';
import { requestIdOf } from './standard-headers.js';

export interface ExampleRouteParts {
  readonly serving: Serving;
  readonly admission: Admission;
  readonly limits: UploadLimits;
  readonly requestTimeoutMs: number;
  readonly exposeSources: boolean;
  /** Who may look. */
  readonly readers: readonly RequestHandler[];
  /** Who may change anything; without an admin key those routes do not exist. */
  readonly writers: readonly RequestHandler[] | undefined;
  /** Counts an error that becomes part of an answer. */
  readonly report: (error: unknown, requestId: string) => void;
}

interface Exchange {
  readonly req: Request;
  readonly res: Response;
}

/** The examples of an index, what happened to them, and how they are changed. */
export function createExampleRouter(parts: ExampleRouteParts): Router {
  const { serving, readers, writers } = parts;
  const router = Router({ strict: true, caseSensitive: true });
  const shown = ({ id, label, source }: Example): Record<string, string> => ({
    ...{ id, label },
    ...(parts.exposeSources ? { source } : {}),
  });
  const logged = (changes: readonly LoggedChange[]): readonly LoggedChange[] =>
    parts.exposeSources ? changes : changes.map((change) => ({ ...change, source: undefined }));

  router.get(routes.examples.path, ...readers, async (req, res) => {
    const { index, limit = defaultListed, ...asked } = parseQuery(listQuery, req.query);
    const { examples, more, sequence } = await neighboursOf(serving.find(index)).list({ ...asked, limit });
    res.json({ sequence, examples: examples.map(shown), next: more ? (examples.at(-1)?.id ?? null) : null });
  });

  router.get(routes.example.path, ...readers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const { example, changes, sequence } = await neighboursOf(served).example(parameter(req, 'id'));
    res.json({ ...shown(example), sequence, changes: logged(changes) });
  });

  router.get(routes.picture.path, ...readers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const { bytes, mediaType } = await neighboursOf(served).picture(parameter(req, 'id'));
    res.setHeader('Content-Type', mediaType);
    res.end(bytes);
  });

  router.get(routes.labels.path, ...readers, (req, res) => {
    const { index, advice } = parseQuery(labelsQuery, req.query);
    const served = serving.find(index);
    const { sequence, labels } = neighboursOf(served).state;
    const drawn = advice === 'true' ? served.advice?.at(sequence)?.labels : undefined;
    res.json({
      sequence,
      labels: [...labels].sort((a, b) => (a.label < b.label ? -1 : 1)),
      ...(advice === 'true' ? { advice: drawn?.map(adviceBody) ?? null } : {}),
    });
  });

  if (writers === undefined) return router;

  router.get(routes.changes.path, ...writers, async (req, res) => {
    const { index, before, id, limit = defaultListed } = parseQuery(logQuery, req.query);
    const changes = await neighboursOf(serving.find(index)).log({ before, id, limit: limit + 1 });
    const page = changes.slice(0, limit);
    res.json({
      changes: logged(page),
      next: changes.length > limit ? (page.at(-1)?.sequence ?? null) : null,
    });
  });

  router.post(routes.change.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const body = { limit: mostActsBytes, example: '{"acts": [{"kind": "delete", "id": "ID"}]}' };
    const { acts, ...why } = await reading(parts, { req, res }, (how) =>
      readJson({ req, res }, { ...how, ...body }, actsJson),
    );
    const { sequence, operation, outcomes } = await served.changes.change({
      ...{ kind: 'edit', acts },
      ...reasonOf(why),
    });
    res.json({ sequence, operation, outcomes });
  });

  router.get(routes.versions.path, ...writers, async (req, res) => {
    res.json(await versionsBody(serving.find(parseIndexQuery(req.query))));
  });

  router.post(routes.addExamples.path, ...writers, async (req, res) => {
    await addExamples(parts, { req, res });
  });

  router.patch(routes.relabel.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const { label, ...why } = await reading(parts, { req, res }, (how) =>
      readJson({ req, res }, { ...how, example: '{"label": "hare"}' }, relabelJson),
    );
    const acts = [{ kind: 'relabel', id: parameter(req, 'id'), label }] as const;
    res.json(onlyOutcome(await served.changes.change({ kind: 'edit', acts, ...reasonOf(why) })));
  });

  router.delete(routes.deleteExample.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const why = await reading(parts, { req, res }, (how) => readJson({ req, res }, how, reasonJson));
    const acts = [{ kind: 'delete', id: parameter(req, 'id') }] as const;
    res.json(onlyOutcome(await served.changes.change({ kind: 'edit', acts, ...reasonOf(why) })));
  });

  router.post(routes.renameLabel.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const { to, ...why } = await reading(parts, { req, res }, (how) =>
      readJson({ req, res }, { ...how, example: '{"to": "hare"}' }, renameJson),
    );
    const from = parameter(req, 'label');
    res.json(operationBody(await served.changes.change({ kind: 'rename', from, to, ...reasonOf(why) })));
  });

  router.post(routes.revert.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const why = await reading(parts, { req, res }, (how) => readJson({ req, res }, how, reasonJson));
    const request = {
      kind: 'revert',
      sequence: sequenceOf(parameter(req, 'sequence')),
      ...reasonOf(why),
    } as const;
    res.json(operationBody(await served.changes.change(request)));
  });

  router.post(routes.rollback.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const why = await reading(parts, { req, res }, (how) => readJson({ req, res }, how, reasonJson));
    const text = parameter(req, 'sequence');
    const sequence = text === '0' ? 0 : sequenceOf(text);
    res.json(operationBody(await served.changes.change({ kind: 'rollback', sequence, ...reasonOf(why) })));
  });

  router.post(routes.compact.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const { version, sequence, examples, changed, refused = null } = await served.changes.compact();
    res.json({ name: served.name, version, sequence, examples, changed, refused });
  });

  router.post(routes.calibrate.path, ...writers, async (req, res) => {
    const { index, share = 1, replace } = parseQuery(calibrationQuery, req.query);
    const served = serving.find(index);
    served.changes.requireWritable();
    const calibrated = await served.recalibrate({ share, replace: replace === 'true' });
    res.json({ name: served.name, ...calibrated, used: served.classifier?.calibration !== undefined });
  });
  return router;
}

/** Some 15,000 examples: they are checked between two requests. */
const mostActsBytes = 1_000_000;

async function versionsBody(served: ServedIndex): Promise<VersionsBody> {
  const { state } = neighboursOf(served);
  const { published, url } = loadedPair(served);
  const { version, manifest, dir } = published;
  const { compacting, readonlyBecause } = served.changes;
  const { sequence, changed, examples, labels } = state;
  const { name, version: encoderVersion, sha256 } = manifest.encoder;
  return {
    ...{ current: version, sequence, changed, compacting, writable: readonlyBecause === undefined },
    name: served.name,
    changesSince: sequence - sequenceOfVersion(published),
    ...{ examples, labels: [...labels] },
    encoder: { name, version: encoderVersion, sha256 },
    dimension: manifest.dimension,
    search: manifest.files['vectors.hnsw'] === undefined ? 'exact' : 'hnsw',
    dataset: manifest.dataset,
    ...(url === undefined ? await describeKept(dirname(dir)) : { versions: [], bytes: 0 }),
  };
}

function adviceBody({ label, curve, gain }: Advice['labels'][number]): object {
  return { label, accuracy: curve.at(-1)?.accuracy ?? null, gain };
}

/** Reads the body of a small change within the bounds of all requests. */
export async function reading<T>(
  { admission, requestTimeoutMs }: Pick<ExampleRouteParts, 'admission' | 'requestTimeoutMs'>,
  exchange: Exchange,
  read: (how: Reading) => Promise<T>,
): Promise<T> {
  const admitted = admission.enter();
  const signal = abandonSignal(exchange, requestTimeoutMs);
  try {
    return await read({ signal, holdBytes: (total) => admitted.holdBytes(total) });
  } finally {
    admitted.leave();
  }
}

async function addExamples(parts: ExampleRouteParts, { req, res }: Exchange): Promise<void> {
  const { serving, admission, report } = parts;
  const served = serving.find(parseIndexQuery(req.query));
  const classifier = servingClassifier(served);
  served.changes.requireWritable();
  const admitted = admission.enter();
  const signal = abandonSignal({ req, res }, parts.requestTimeoutMs);
  const work = async (): Promise<ChangedBody | AddedBody> => {
    try {
      const how = { signal, holdBytes: (total: number) => admitted.holdBytes(total) };
      const { kind, examples, reason, who, continues } = await readExamples({ req, res }, how, parts.limits);
      admitted.holdImages(examples.length);
      const prepared = await Promise.all(
        examples.map((example) => prepare(classifier, example, signal).finally(() => admitted.imageDone())),
      );
      signal.throwIfAborted();
      const good = prepared.flatMap((one) => (one instanceof NearvoteError ? [] : [one]));
      const request = { kind: 'add', examples: good, reason, who, continues } as const;
      const changed = await change(served, classifier, request);
      const outcomes = [...changed.outcomes];
      const settled = prepared.map((one) =>
        one instanceof NearvoteError ? one : outcomeOf(outcomes.shift()),
      );
      if (kind === 'one') {
        const [only] = settled;
        if (only === undefined || only instanceof NearvoteError) throw only ?? missingOutcome();
        return { sequence: changed.sequence, ...only };
      }
      const results = settled.map((one, i) => {
        const file = examples[i]?.file;
        const named = file === undefined ? {} : { file };
        if (!(one instanceof NearvoteError)) return { ...named, ...one };
        report(one, requestIdOf(res));
        return { ...named, error: toProblem(one, requestIdOf(res)) };
      });
      return { sequence: changed.sequence, operation: changed.operation, results };
    } finally {
      admitted.leave();
      served.holds.remove(classifier);
    }
  };
  served.holds.add(classifier);
  res.json(await unlessAbandoned(work(), signal));
}

/** Embeddings of one encoder are nothing to another: an index that was swapped for one of another encoder is asked anew. */
function change(served: ServedIndex, classifier: Classifier, request: ChangeRequest): Promise<Changed> {
  return served.changes.change(request, () => {
    if (served.classifier?.encoderDigest === classifier.encoderDigest) return;
    throw new NearvoteError(
      'not_ready',
      'Expected the encoder from before but another was loaded meanwhile; send again',
    );
  });
}

/** What an image needs to be an example, or why it cannot be one. */
async function prepare(
  classifier: Classifier,
  { file, id, label, image }: SentExample,
  signal: Cancellation,
): Promise<NewExample | NearvoteError> {
  try {
    if (image instanceof NearvoteError) throw image;
    const [{ embedding }, picture] = await Promise.all([
      classifier.embed(image, { signal }),
      keptPicture(image),
    ]);
    const digest = contentDigest({ kind: 'file', bytes: image }).toString('hex');
    return { id, label, digest, embedding, picture, source: file ?? 'upload' };
  } catch (error) {
    // Anything but a fault of this image is the whole request's.
    if (error instanceof NearvoteError && !signal.aborted && isOfImage(error)) return error;
    throw error;
  }
}

function isOfImage({ code }: NearvoteError): boolean {
  return code.startsWith('image_') || code === 'request_malformed';
}

type Done = Exclude<ChangeOutcome, { outcome: 'refused' }>;

function outcomeOf(outcome: ChangeOutcome | undefined): Done | NearvoteError {
  if (outcome === undefined) return missingOutcome();
  return outcome.outcome === 'refused' ? new NearvoteError(outcome.code, outcome.message) : outcome;
}

function missingOutcome(): NearvoteError {
  return new NearvoteError('internal', 'Expected an outcome for every example but received fewer');
}

export function onlyOutcome({ sequence, outcomes }: Changed): ChangedBody {
  const outcome = outcomeOf(outcomes[0]);
  if (outcome instanceof NearvoteError) throw outcome;
  return { sequence, ...outcome };
}

function operationBody({ sequence, operation, outcomes }: Changed): object {
  return { sequence, operation, changed: outcomes.filter(({ outcome }) => outcome !== 'unchanged').length };
}

export function parameter(req: Request, name: string): string {
  return String(req.params[name]);
}

/** @throws NearvoteError `change_missing` for what is no number */
function sequenceOf(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new NearvoteError('change_missing', 'Expected the number of a change but received another text');
}
