import type { Request, RequestHandler, Response } from 'express';

import type { Classification, Classifier, StageTimings } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';
import type { DecisionLog } from './decision-log.js';
import type { Metrics } from './metrics.js';
import { requestIdOf } from './answer.js';
import { toProblem } from './problems.js';
import { parseClassifyQuery, parseEmptyQuery } from './query.js';
import type { DecisionBody, EmbeddingBody } from './schemas.js';
import { holdClassifier, type Serving } from './serving.js';
import type { ReadUpload } from './upload.js';
import type { UploadedImage } from './uploaded.js';

export interface ImageRouteParts {
  readonly serving: Serving;
  readonly readUpload: ReadUpload;
  readonly metrics: Metrics;
  readonly decisionLog: DecisionLog | undefined;
  readonly exposeSources: boolean;
  readonly defaultK: number;
  /** Counts an error that becomes part of an answer, and logs it where the client may not see its detail. */
  readonly report: (error: unknown, requestId: string) => void;
}

/** One image's part of an answer, and where its time went. */
interface Answered<Body> {
  readonly body: Body;
  readonly timings: StageTimings;
}

type AnswerImage<Body> = (image: Uint8Array, signal: AbortSignal) => Promise<Answered<Body>>;

/** `POST /classify` and `POST /embed`. */
export function createImageRoutes(parts: ImageRouteParts): {
  classify: RequestHandler;
  embed: RequestHandler;
} {
  const { serving, metrics, decisionLog, exposeSources, defaultK } = parts;

  const classify: RequestHandler = async (req, res) => {
    const classifier = holdClassifier(serving, res);
    const query = parseClassifyQuery(req.query, { examples: classifier.index.examples, defaultK });
    await answer(parts, { req, res }, async (image, signal) => {
      const classification = await classifier.classify(image, { ...query, signal });
      metrics.decided(classification);
      decisionLog?.write(classification);
      return { body: decisionBody(classification, exposeSources), timings: classification.timings };
    });
  };

  const embed: RequestHandler = async (req, res) => {
    const classifier = holdClassifier(serving, res);
    parseEmptyQuery(req.query);
    await answer(parts, { req, res }, async (image, signal) => {
      const { embedding, timings } = await classifier.embed(image, { signal });
      return { body: embeddingBody(embedding, classifier), timings };
    });
  };

  return { classify, embed };
}

async function answer<Body>(
  parts: ImageRouteParts,
  { req, res }: { readonly req: Request; readonly res: Response },
  answerImage: AnswerImage<Body>,
): Promise<void> {
  const { serving, metrics, report } = parts;
  const signal = goneSignal(res);
  const answerOne = async (image: UploadedImage): Promise<Answered<Body>> => {
    if (image instanceof NearvoteError) throw image;
    const answered = await answerImage(image, signal);
    metrics.stages(answered.timings);
    return answered;
  };
  const send = (body: unknown, timings: readonly StageTimings[]): void => {
    res.setHeader('Server-Timing', serverTiming(timings));
    if (serving.stopping) res.setHeader('Connection', 'close');
    res.json(body);
  };

  const upload = await parts.readUpload(req, res);
  if (upload.kind === 'one') {
    const { body, timings } = await answerOne(upload.image);
    send(body, [timings]);
    return;
  }
  const settled = await Promise.allSettled(upload.images.map(answerOne));
  const requestId = requestIdOf(res);
  const results = settled.map((outcome) => {
    if (outcome.status === 'fulfilled') return outcome.value.body;
    report(outcome.reason, requestId);
    return { error: toProblem(outcome.reason, requestId) };
  });
  send(
    { results },
    settled.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.timings] : [])),
  );
}

/** Aborts when the client goes away before it has its answer. */
function goneSignal(res: Response): AbortSignal {
  const controller = new AbortController();
  res.once('close', () => {
    if (res.writableFinished) return;
    controller.abort(new NearvoteError('client_gone', 'The client closed the connection before the answer'));
  });
  return controller.signal;
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
