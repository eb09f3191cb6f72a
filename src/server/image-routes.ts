import type { Request, RequestHandler, Response } from 'express';

import type { Classification, Classifier, StageTimings } from '../classify.js';
import type { Cancellation } from '../domain/cancellation.js';
import { NearvoteError } from '../domain/errors.js';
import { abandonSignal, unlessAbandoned } from './abandon.js';
import { codeOf, toProblem } from './problems.js';
import type { DecisionLog } from './decision-log.js';
import type { Metrics } from './metrics.js';
import type { Admission } from './admission.js';
import {
  type DecisionBody,
  type EmbeddingBody,
  checkClassifyQuery,
  parseClassifyQuery,
  parseIndexQuery,
  type Problem,
} from './schemas.js';
import { servingClassifier, type ServedIndex, type Serving } from './serving.js';
import { requestIdOf, standardHeaders } from './standard-headers.js';
import type { ReadUpload } from './upload.js';
import type { SentImage } from './body.js';
import { limitWritten, whenOver } from './exchange.js';
import type { RequestTrace } from './request-trace.js';

export interface ImageRouteParts {
  readonly serving: Serving;
  readonly readUpload: ReadUpload;
  readonly metrics: Metrics;
  readonly admission: Admission;
  /** From the headers to the answer, the client's own slowness included. */
  readonly requestTimeoutMs: number;
  /** How long a client may take nothing of its answer. */
  readonly writeTimeoutMs: number;
  readonly maxK: number;
  readonly maxNeighbours: number;
  readonly decisionLog: DecisionLog | undefined;
  readonly exposeSources: boolean;
  /** Of the request that an answer is for; absent where nothing is traced. */
  readonly traceOf: ((res: Response) => RequestTrace | undefined) | undefined;
  /** Counts an error that becomes part of an answer, and logs it where the client may not see its detail. */
  readonly report: (error: unknown, requestId: string) => void;
}

/** One image's part of an answer, and where its time went. */
interface Answered<Body> {
  readonly body: Body;
  readonly timings: StageTimings;
}

type AnswerImage<Body> = (image: Uint8Array, signal: Cancellation) => Promise<Answered<Body>>;

/** A request with its answer, and what it is answered with. */
interface Exchange {
  readonly req: Request;
  readonly res: Response;
  readonly served: ServedIndex;
  /** Of the index, as the request found it. */
  readonly classifier: Classifier;
}

/** `POST /classify` and `POST /embed`. */
export function createImageRoutes(parts: ImageRouteParts): {
  classify: RequestHandler;
  embed: RequestHandler;
} {
  const { serving, metrics, decisionLog, exposeSources } = parts;

  const classify: RequestHandler = async (req, res) => {
    const query = parseClassifyQuery(req.query);
    const served = serving.find(query.index);
    const classifier = servingClassifier(served);
    const { index, defaultK } = classifier;
    const { maxK, maxNeighbours } = parts;
    checkClassifyQuery(query, { examples: index.examples, defaultK, maxK, maxNeighbours });
    await answer(parts, { req, res, served, classifier }, async (image, signal) => {
      const classification = await classifier
        .classify(image, { ...query, signal })
        .catch((error: unknown) => {
          metrics.searchFailed(served.name, error);
          throw error;
        });
      metrics.decided(classification);
      decisionLog?.write(classification);
      served.kept?.keeper.keep({ classification, image, encoder: classifier.encoderDigest });
      return { body: decisionBody(classification, exposeSources), timings: classification.timings };
    });
  };

  const embed: RequestHandler = async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const classifier = servingClassifier(served);
    await answer(parts, { req, res, served, classifier }, async (image, signal) => {
      const { embedding, timings } = await classifier.embed(image, { signal });
      return { body: embeddingBody(embedding, classifier), timings };
    });
  };

  return { classify, embed };
}

async function answer<Body>(
  parts: ImageRouteParts,
  { req, res, served, classifier }: Exchange,
  answerImage: AnswerImage<Body>,
): Promise<void> {
  const { serving, metrics, admission, report } = parts;
  const admitted = admission.enter();
  const signal = abandonSignal({ req, res }, parts.requestTimeoutMs);
  const trace = parts.traceOf?.(res);
  const answerOne = async (image: SentImage): Promise<Answered<Body>> => {
    const startedAt = trace === undefined ? 0 : performance.now();
    try {
      if (image instanceof NearvoteError) throw image;
      const answered = await answerImage(image, signal);
      metrics.stages(answered.timings);
      trace?.image(answered.timings, startedAt);
      return answered;
    } finally {
      admitted.imageDone();
    }
  };
  const work = async (): Promise<{ body: unknown; timings: readonly StageTimings[] }> => {
    try {
      const upload = await parts.readUpload(
        { req, res },
        { signal, holdBytes: (total) => admitted.holdBytes(total) },
      );
      if (upload.kind === 'one') {
        const { body, timings } = await answerOne(upload.image);
        return { body, timings: [timings] };
      }
      admitted.holdImages(upload.images.length);
      const settled = await Promise.allSettled(upload.images.map(({ image }) => answerOne(image)));
      // Nobody reads these results; the request counts once, with its own reason.
      signal.throwIfAborted();
      const files = upload.images.map(({ file }) => file);
      return resultsOf({ settled, files }, (error) => {
        report(error, requestIdOf(res));
        trace?.failed(codeOf(error));
        return toProblem(error, requestIdOf(res));
      });
    } finally {
      admitted.leave();
      served.holds.remove(classifier);
    }
  };
  served.holds.add(classifier);
  const { body, timings } = await unlessAbandoned(work(), signal);
  const text = JSON.stringify(body);
  const size = Buffer.byteLength(text);
  const headers = standardHeaders(res);
  headers.push('Content-Type', 'application/json; charset=utf-8');
  headers.push('Content-Length', String(size));
  headers.push('Server-Timing', serverTiming(timings));
  if (serving.stopping) headers.push('Connection', 'close');
  whenOver(req, res, admission.holdAnswer(size));
  res.writeHead(200, headers);
  res.end(text);
  limitWritten({ req, res }, parts.writeTimeoutMs);
}

interface Settled<Body> {
  readonly settled: readonly PromiseSettledResult<Answered<Body>>[];
  /** Of each, where it came with a name. */
  readonly files: readonly (string | undefined)[];
}

function resultsOf<Body>(
  { settled, files }: Settled<Body>,
  problemOf: (error: unknown) => Problem,
): { body: unknown; timings: readonly StageTimings[] } {
  return {
    body: {
      results: settled.map((outcome, i) => ({
        ...(files[i] === undefined ? {} : { file: files[i] }),
        ...(outcome.status === 'fulfilled' ? outcome.value.body : { error: problemOf(outcome.reason) }),
      })),
    },
    timings: settled.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.timings] : [])),
  };
}

/** `Server-Timing` in milliseconds; of several images the slowest of each stage, for they run side by side. */
function serverTiming(all: readonly StageTimings[]): string {
  const slowest = (field: keyof StageTimings): string =>
    all.reduce((most, timings) => Math.max(most, timings[field]), 0).toFixed(2);
  return [
    `decode;dur=${slowest('decodeMs')}`,
    `queue;dur=${slowest('queueMs')}`,
    `encode;dur=${slowest('encodeMs')}`,
    `search;dur=${slowest('searchMs')}`,
    `vote;dur=${slowest('voteMs')}`,
  ].join(', ');
}

function decisionBody({ decision }: Classification, exposeSources: boolean): DecisionBody {
  return {
    ...decision,
    scores: [...decision.scores],
    neighbours: decision.neighbours.map(({ id, label, similarity, source }) => ({
      id,
      label,
      similarity,
      ...(exposeSources ? { source } : {}),
    })),
  };
}

function embeddingBody(embedding: Float32Array, { encoder }: Classifier): EmbeddingBody {
  return {
    embedding: Array.from(embedding),
    dimension: embedding.length,
    encoder: { name: encoder.name, version: encoder.version },
  };
}
