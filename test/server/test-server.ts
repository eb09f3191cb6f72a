import { connect } from 'node:net';

import { pino } from 'pino';
import { expect } from 'vitest';

import type { Classifier } from '../../src/classify.js';
import { type AppOptions, createApp, messageClasses } from '../../src/server/app.js';
import { createMetrics, type Metrics } from '../../src/server/metrics.js';
import { startServer, type RunningServer, type ServerTimeouts } from '../../src/server/server.js';
import { createServing, type ServedIndex, type Serving } from '../../src/server/serving.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';

export interface TestServer extends RunningServer {
  readonly serving: Serving;
  /** The default index. */
  readonly served: ServedIndex;
  readonly metrics: Metrics;
  /** Log lines as they were written. */
  readonly logged: string[];
  /** Any request; the answer's text is checked for paths and stacks. */
  ask(path: string, init?: RequestInit): Promise<Answer>;
  /** Bytes as they are; resolves with what came back when the server has closed or answered whole. */
  send(...pieces: (string | Uint8Array)[]): Promise<Answer>;
  /** A red image is still classified as red. */
  expectStillServing(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed, where it is JSON. */
  readonly body: unknown;
}

export interface TestServerOptions extends Partial<AppOptions> {
  readonly classifier?: Classifier | undefined;
  /** Further indexes, by name; absent while they load. */
  readonly others?: Readonly<Record<string, Classifier | undefined>>;
  readonly timeouts?: Partial<ServerTimeouts>;
}

export const testLoad = {
  maxQueue: 256,
  maxInflightBytes: 100_000_000,
  requestTimeout: 30_000,
  writeTimeout: 30_000,
  maxBundleBytes: 1_000_000,
  maxK: 1000,
  maxNeighbours: 100,
};
export const testLimits = { maxImages: 4, maxImageBytes: 100_000, maxBodyBytes: 1_000_000 };

/** A real server on a free port, over a classifier that knows three colours unless told. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { others = {} } = options;
  const names = ['colours', ...Object.keys(others)] as const;
  const serving = createServing(names);
  const metrics = options.metrics ?? createMetrics(names);
  const [served] = serving.indexes;
  served.classifier = 'classifier' in options ? options.classifier : createColourClassifier();
  for (const [name, classifier] of Object.entries(others)) serving.find(name).classifier = classifier;
  for (const one of serving.indexes) {
    const { name, classifier } = one;
    metrics.watchIndex(name, { served: one, following: { staleSeconds: 0 } });
    if (classifier !== undefined) metrics.serves(classifier, { searchKind: 'hnsw', providers: ['cpu'] });
  }
  const logged: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => logged.push(line) });
  const app = createApp({
    serving,
    metrics,
    logger,
    limits: testLimits,
    load: testLoad,
    exposeSources: false,
    version: '1.2.3',
    ...options,
  });
  const server = await startServer({
    app,
    messages: messageClasses(app),
    host: '127.0.0.1',
    port: 0,
    timeouts: options.timeouts,
  });
  const ask = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(`${server.url}${path}`, { redirect: 'manual', ...init });
    return answerOf(response.status, response.headers, await response.text());
  };
  const red = await drawColour('red');
  return {
    ...server,
    serving,
    served,
    metrics,
    logged,
    ask,
    send: (...pieces) => send(server.port, pieces),
    async expectStillServing() {
      const answer = await ask('/classify', {
        method: 'POST',
        headers: { 'content-type': 'image/png' },
        body: red,
      });
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ label: 'red' });
    },
  };
}

/** The code of a problem document, checked to be one. */
export function expectProblem(answer: Answer, status: number, code: string): string {
  expect(answer.body).toMatchObject({ code, status });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  return String(Reflect.get(Object(answer.body) as object, 'detail'));
}

/** A multipart body by hand; a part without a filename is a text field. */
export function multipart(
  parts: readonly { name: string; filename?: string; content: Uint8Array | string }[],
  boundary = 'edge',
): Buffer {
  const pieces = parts.flatMap(({ name, filename, content }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${
      filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: application/octet-stream`
    }\r\n\r\n`,
    content,
    '\r\n',
  ]);
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece)));
}

function send(port: number, pieces: readonly (string | Uint8Array)[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      received += text;
      const answer = parseAnswer(received);
      if (answer === undefined) return;
      socket.destroy();
      resolve(answer);
    });
    // A server may cut a hostile client off while it still writes.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(received.slice(0, 200))}`)));
    for (const piece of pieces) socket.write(piece);
  });
}

function parseAnswer(received: string): Answer | undefined {
  const end = received.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = received.slice(0, Math.max(end, 0)).split('\r\n');
  const headers = new Headers(lines.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
  const status = Number(statusLine.split(' ')[1]);
  const text = received.slice(end + 4);
  // An interim answer has no body.
  const length = status < 200 ? 0 : Number(headers.get('content-length') ?? Infinity);
  if (end < 0 || text.length < length) return undefined;
  return answerOf(status, headers, text);
}

/** Paths of a machine, and lines of a stack. */
const secrets = /\/(home|root|tmp|usr|work|node_modules)\/|node:internal|\n\s+at |:\d+:\d+\)/;

function answerOf(status: number, headers: Headers, text: string): Answer {
  const isJson = /json/.test(headers.get('content-type') ?? '');
  if (isJson) expect(text).not.toMatch(secrets);
  return { status, headers, text, body: isJson && text !== '' ? (JSON.parse(text) as unknown) : undefined };
}
