import { IncomingMessage, type ServerOptions, ServerResponse } from 'node:http';

import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express';
import type { Logger } from 'pino';

import type { BundleState } from '../bundles/bundle-feed.js';
import type { Classifier } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';
import { adminKeyWords, createKeyring, createRateLimit, requireKey } from './access.js';
import { createAdminRouter } from './admin-routes.js';
import { createAdmission } from './admission.js';
import { createBundleRouter } from './bundle-routes.js';
import { quoted } from '../domain/quoted.js';
import type { UploadLimits } from './body.js';
import type { DecisionLog } from './decision-log.js';
import { limitDelivery, limitWritten, unansweredOn, whenOver } from './exchange.js';
import { createImageRoutes } from './image-routes.js';
import type { Metrics } from './metrics.js';
import { createContract, createDocsRouter } from './openapi.js';
import { createFailureLog } from './failure-log.js';
import { answerProblem, codeOf } from './problems.js';
import { checkHead } from './request-head.js';
import { createFindingRouter } from './finding-routes.js';
import { createReviewRouter } from './review-routes.js';
import { createRequestRecorder, traceOf } from './request-recorder.js';
import { createExampleRouter } from './example-routes.js';
import { createStateRouter } from './state-routes.js';
import { adminRoutes, allRoutes, methodsByPath, routeOf, routes } from './routes.js';
import type { ReadyBody } from './schemas.js';
import { readyClassifiers, type ServedIndex, type Serving } from './serving.js';
import { requestIdOf, setStandardHeaders } from './standard-headers.js';
import type { Tracing } from './request-trace.js';
import { createUploadReader } from './upload.js';

/** What all requests together may ask of the server. */
interface LoadLimits {
  /** Images inside at once, from the reading of their body to their answer; one more is `overloaded`. */
  readonly maxQueue: number;
  /** Bytes of request bodies, and of answers that are not out yet, held at once. */
  readonly maxInflightBytes: number;
  /** Milliseconds from the headers of an image request to its answer; past them it is `timed_out`. */
  readonly requestTimeout: number;
  /** Milliseconds for which a client may take nothing of its answer, before its connection is ended. */
  readonly writeTimeout: number;
  /** The largest bundle of an index that is taken, in bytes. */
  readonly maxBundleBytes: number;
  /** The largest k that a request may ask for. */
  readonly maxK: number;
  /** The most neighbours that an answer shows. */
  readonly maxNeighbours: number;
}

export interface AppOptions {
  readonly serving: Serving;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly limits: UploadLimits;
  readonly load: LoadLimits;
  /** Whether neighbours show the path of their image within its dataset. */
  readonly exposeSources: boolean;
  /** Without them anybody may classify. */
  readonly apiKeys?: readonly string[] | undefined;
  /** Without it the admin routes do not exist. */
  readonly adminKey?: string | undefined;
  /** Requests a minute of one key or address; without it, any. */
  readonly rateLimit?: number | undefined;
  /** Proxies in front whose X-Forwarded-For is believed; 0 unless told. */
  readonly trustProxy?: number | undefined;
  /** Names and addresses that the Host of a request may have, without its port; any unless told. */
  readonly allowedHosts?: readonly string[] | undefined;
  readonly decisionLog?: DecisionLog | undefined;
  /** Spans for requests; none unless told. */
  readonly tracing?: Tracing | undefined;
  /** Of the package, for the contract. */
  readonly version: string;
}

/** Work of a process aside: it takes as long as the index is large. */
const longPaths: ReadonlySet<string> = new Set([
  routes.compact.path,
  routes.calibrate.path,
  routes.verification.path,
]);
/** Requests that one connection may have unanswered: a packet of 64 KiB could ask for a thousand answers. */
const maxPipelined = 16;

/** HTTP over a classifier: every route, every error as a problem document, every request counted and logged. */
export function createApp(options: AppOptions): Express {
  const { serving, metrics, logger, load, tracing } = options;
  // More images than there are places would never get in.
  const limits = { ...options.limits, maxImages: Math.min(options.limits.maxImages, load.maxQueue) };
  const admission = createAdmission({
    maxImages: load.maxQueue,
    maxBytes: load.maxInflightBytes,
    now: () => performance.now(),
  });
  metrics.watchHeld(() => admission);
  // One copy for every client, however many do not read it.
  const contract = Buffer.from(JSON.stringify(createContract({ version: options.version, limits, ...load })));
  const logFailure = createFailureLog(logger, () => performance.now());
  const report = (error: unknown, requestId: string): void => {
    metrics.rejected(codeOf(error));
    logFailure(error, requestId);
  };
  const answerError: ErrorRequestHandler = (thrown: unknown, req, res, next) => {
    const error = asNearvoteError(thrown);
    report(error, requestIdOf(res));
    if (tracing !== undefined) traceOf(res)?.failed(codeOf(error));
    if (res.writableEnded) next();
    else {
      const size = answerProblem({ req, res }, error, retryAfter(error));
      whenOver(req, res, admission.countAnswer(size));
      limitWritten({ req, res }, load.writeTimeout);
    }
  };
  const retryAfter = (error: unknown): number | undefined =>
    codeOf(error) === 'overloaded' ? admission.retryAfterSeconds : undefined;
  const { classify, embed } = createImageRoutes({
    serving,
    metrics,
    report,
    admission,
    requestTimeoutMs: load.requestTimeout,
    writeTimeoutMs: load.writeTimeout,
    maxK: load.maxK,
    maxNeighbours: load.maxNeighbours,
    readUpload: createUploadReader(limits),
    decisionLog: options.decisionLog,
    exposeSources: options.exposeSources,
    traceOf: tracing === undefined ? undefined : traceOf,
  });

  const app = express();
  app.enable('strict routing');
  app.enable('case sensitive routing');
  app.disable('etag');
  app.disable('x-powered-by');
  app.set('trust proxy', options.trustProxy ?? 0);
  const record = createRequestRecorder({ logger, metrics, tracing });
  // One layer: Express charges for each that a request passes.
  app.use((req, res, next) => {
    if (unansweredOn(req.socket) >= maxPipelined) {
      // What else was in the packet comes here too.
      if (!req.socket.destroyed) metrics.rejected('overloaded');
      req.socket.destroy();
      return;
    }
    record(req, res);
    checkHead(req, options.allowedHosts);
    if (asksForInference(req) && admission.refusal !== undefined)
      answerError(admission.refusal, req, res, next);
    else next();
  });
  const keyring = options.apiKeys === undefined ? undefined : createKeyring(options.apiKeys);
  // Wrong keys count too, by address: guessing is limited like anything else.
  const limiters: RequestHandler[] = [];
  if (options.rateLimit !== undefined) {
    const limit = createRateLimit({ perMinute: options.rateLimit, keyring });
    limiters.push(limit);
    app.post(routes.reload.path, limit);
  }
  const guards = [...limiters, ...(keyring === undefined ? [] : [requireKey(keyring)])];
  app.post(routes.classify.path, ...guards, classify);
  app.post(routes.embed.path, ...guards, embed);
  app.use(setStandardHeaders);
  const known = methodsByPath(
    allRoutes.filter((route) => !adminRoutes.has(route) || options.adminKey !== undefined),
  );
  // Before any router, which would give an answer of its own to OPTIONS.
  for (const [path, methods] of known) app.options(path, allowMethods(methods));
  if (options.adminKey !== undefined) app.use(createAdminRouter(options.adminKey, serving));
  app.use((req, res, next) => {
    // What is done aside may take longer; its answer is a line, as a reload's is.
    const isLong =
      (req.method === 'POST' && longPaths.has(req.path)) || req.path === routes.exportBundle.path;
    if (!isLong) limitDelivery({ req, res }, load.writeTimeout);
    next();
  });
  const writers =
    options.adminKey === undefined
      ? undefined
      : [...limiters, requireKey(createKeyring([options.adminKey]), adminKeyWords)];
  app.use(
    createExampleRouter({
      ...{ serving, admission, limits, report },
      requestTimeoutMs: load.requestTimeout,
      exposeSources: options.exposeSources,
      readers: [...limiters, ...readerGuards(options)],
      writers,
    }),
  );
  if (writers !== undefined) {
    const { exposeSources } = options;
    const timed = { requestTimeoutMs: load.requestTimeout };
    const parts = { serving, admission, limits, exposeSources, writers, ...timed };
    app.use(createReviewRouter(parts));
    app.use(createFindingRouter(parts));
    app.use(createStateRouter(parts));
    const { maxBundleBytes, writeTimeout: writeTimeoutMs } = load;
    app.use(createBundleRouter({ serving, writers, maxBundleBytes, writeTimeoutMs }));
  }
  app.get(routes.health.path, (_req, res) => {
    res.json({ status: 'ok' });
  });
  app.get(routes.ready.path, (_req, res) => {
    res.json(readyBody(serving));
  });
  app.get(routes.metrics.path, async (req, res) => {
    const text = Buffer.from(await metrics.text());
    whenOver(req, res, admission.holdAnswer(text.length));
    res.setHeader('Content-Type', metrics.contentType);
    res.end(text);
  });
  app.get(routes.openapi.path, (_req, res) => {
    res.type('json').send(contract);
  });
  app.get(routes.home.path, (_req, res) => {
    res.redirect(routes.docs.path);
  });
  app.use(createDocsRouter());
  const hint = (req: Request): string =>
    options.adminKey === undefined && isAdminRoute(req) ? `; ${needsAdminKey}` : '';
  for (const [path, methods] of known) app.all(path, refuseMethod(methods, hint));
  app.use((req) => {
    throw new NearvoteError(
      'not_found',
      `Expected a known route but received ${quoted(req.path)}${hint(req)}`,
    );
  });
  app.use(answerError);
  return app;
}

/** A server with any key shows its examples to nobody without one: they hold pictures. */
function readerGuards({
  apiKeys = [],
  adminKey,
}: Pick<AppOptions, 'apiKeys' | 'adminKey'>): RequestHandler[] {
  const keys = [...apiKeys, ...(adminKey === undefined ? [] : [adminKey])];
  return keys.length === 0 ? [] : [requireKey(createKeyring(keys))];
}

function asksForInference({ method, path }: Request): boolean {
  return method === 'POST' && (path === routes.classify.path || path === routes.embed.path);
}

function readyBody(serving: Serving): ReadyBody {
  const ready = readyClassifiers(serving);
  const [first] = ready;
  const stateOf = (
    { index, calibrationAge: calibration }: Classifier,
    { bundle, pair }: Pick<ServedIndex, 'bundle' | 'pair'>,
  ): ReadyBody['index'] => ({
    ...index,
    ...(calibration === undefined ? {} : { calibration }),
    ...(bundle === undefined ? {} : { bundle: bundleBody(bundle.state) }),
    ...replicaOf(pair),
  });
  const indexes = serving.indexes.flatMap((served, i) => {
    const one = ready[i];
    return one === undefined
      ? []
      : { ...stateOf(one, served), ready: true as const, encoder: { ...one.encoder } };
  });
  return {
    status: 'ready',
    index: stateOf(first, serving.indexes[0]),
    encoder: { ...first.encoder },
    indexes,
  };
}

function bundleBody({
  sha256 = '',
  lastSuccess,
  failures,
  failure,
}: BundleState): ReadyBody['index']['bundle'] {
  return {
    ...{ sha256, failures },
    ...(lastSuccess === undefined ? {} : { lastSuccess: lastSuccess.toISOString() }),
    ...(failure === undefined ? {} : { failure }),
  };
}

function replicaOf(pair: ServedIndex['pair']): Pick<ReadyBody['index'], 'replica'> {
  const state = pair?.neighbours.replica;
  if (state === undefined) return {};
  const { ready, behind, lagSeconds } = state;
  return { replica: { ready, behind, lagSeconds } };
}

function allowMethods(methods: readonly string[]): RequestHandler {
  return (_req, res) => {
    res.setHeader('Allow', methods.join(', '));
    res.status(204).end();
  };
}

/** What teaches or corrects is in the contract of every server, so nothing is told away by saying what it lacks. */
const needsAdminKey =
  'what needs the admin key is not there in a server that was started without NEARVOTE_ADMIN_KEY';

function isAdminRoute({ method, path }: Request): boolean {
  const route = routeOf(path);
  return [...adminRoutes].some((one) => one.path === route && one.methods.some((any) => any === method));
}

function refuseMethod(methods: readonly string[], hint: (req: Request) => string): RequestHandler {
  const allow = methods.join(', ');
  return (req, res) => {
    res.setHeader('Allow', allow);
    throw new NearvoteError('method_not_allowed', `Expected ${allow} but received ${req.method}${hint(req)}`);
  };
}

/** Express and its file server throw errors with a `status`; a 4xx is the request's fault. */
function asNearvoteError(thrown: unknown): unknown {
  if (thrown instanceof NearvoteError || !(thrown instanceof Error) || !('status' in thrown)) return thrown;
  const { status } = thrown;
  if (typeof status !== 'number' || status < 400 || status > 499) return thrown;
  if (status === 404) return new NearvoteError('not_found', 'Expected a known route');
  return new NearvoteError('request_malformed', 'Expected a well-formed request', { cause: thrown });
}

/**
 * Classes for `createServer` whose instances are Express's own requests and responses from the start. Else Express
 * gives each message another prototype when it takes it over, which costs V8 every shape it had learned of them:
 * two thirds of what Express costs a request (docs/decisions/005).
 */
export function messageClasses(
  app: Express,
): Required<Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>> {
  class AppRequest extends IncomingMessage {}
  class AppResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {}
  adopt(app, 'request', AppRequest.prototype);
  adopt(app, 'response', AppResponse.prototype);
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Puts `prototype` where Express keeps the one that it gives to messages. */
function adopt(app: Express, kind: 'request' | 'response', prototype: object): void {
  Object.setPrototypeOf(prototype, express[kind]);
  Object.defineProperty(prototype, 'app', { value: app, configurable: true, writable: true });
  Object.defineProperty(app, kind, { value: prototype, configurable: true, writable: true });
}
