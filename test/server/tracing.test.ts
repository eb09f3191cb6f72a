import { afterEach, expect, it, vi } from 'vitest';
import type { Tracing } from '../../src/server/request-trace.js';
import { openTracing } from '../../src/server/tracing.js';
import { startCollector, type Collector, type ReceivedSpan } from './collector.js';
import { drawColour } from './colour-classifier.js';
import { multipart, startTestServer, type TestServer } from './test-server.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0).reverse()) await close();
});

interface Traced {
  readonly server: TestServer;
  readonly tracing: Tracing;
  readonly warnings: unknown[];
  /** What the collector has, once all was sent. */
  readonly spans: () => Promise<ReceivedSpan[]>;
}

/** A server that sends its traces to a collector, as the environment says. */
async function startTraced(
  collector: Pick<Collector, 'url'> & Partial<Collector>,
  env: Readonly<Record<string, string>> = {},
): Promise<Traced> {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const warnings: unknown[] = [];
  const logger = { warn: (...said: unknown[]) => void warnings.push(said) };
  const tracing = await openTracing({ logger, version: '1.2.3' });
  if (tracing === undefined) throw new Error('Expected tracing');
  const server = await startTestServer({ tracing });
  closing.push(() => server.close());
  return {
    ...{ server, tracing, warnings },
    spans: async () => {
      await tracing.close(10_000);
      return collector.spans ?? [];
    },
  };
}

async function collectorForTest(...how: Parameters<typeof startCollector>): Promise<Collector> {
  const collector = await startCollector(...how);
  closing.push(() => collector.close());
  return collector;
}

const post = async (server: TestServer, headers: Record<string, string> = {}) =>
  server.ask('/classify', {
    method: 'POST',
    headers: { 'content-type': 'image/png', ...headers },
    body: await drawColour('red'),
  });

it('a request is a span of the trace that it came with, and its stages are spans within it, one after another', async () => {
  const { server, spans } = await startTraced(await collectorForTest());
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const answer = await post(server, {
    traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    'x-request-id': 'mine',
  });
  expect(answer.status).toBe(200);
  const received = await spans();
  const whole = received.find(({ name }) => name === 'POST /classify');
  expect(whole).toMatchObject({
    ...{ traceId, parentSpanId: 'b7ad6b7169203331', kind: 2 },
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/classify',
      'http.response.status_code': '200',
      'nearvote.request_id': 'mine',
    },
    resource: { 'service.name': 'nearvote', 'service.version': '1.2.3' },
  });
  // Who asked is told which span it became, and the log names the trace.
  expect(answer.headers.get('traceresponse')).toBe(`00-${traceId}-${String(whole?.spanId)}-01`);
  expect(server.logged.some((line) => line.includes(`"traceId":"${traceId}"`))).toBe(true);

  const stages = received.filter(({ parentSpanId }) => parentSpanId === whole?.spanId);
  expect(stages.map(({ name }) => name)).toEqual(['decode', 'queue', 'encode', 'search', 'vote']);
  const ms = ({ startTimeUnixNano: from, endTimeUnixNano: to }: ReceivedSpan): number =>
    Number(to - from) / 1e6;
  const [, queue, encode, search] = stages as [ReceivedSpan, ReceivedSpan, ReceivedSpan, ReceivedSpan];
  // As the stages of the test's classifier say of themselves.
  for (const [span, expected] of [
    [queue, 2],
    [encode, 3],
    [search, 4],
  ] as const)
    expect(ms(span)).toBeCloseTo(expected, 1);
  for (const [i, stage] of stages.slice(1).entries()) {
    // The classifier only says that it searched for 4 ms: what really took less overlaps what was before it.
    if (stage.name === 'search') continue;
    expect(stage.startTimeUnixNano).toBeGreaterThanOrEqual((stages[i]?.endTimeUnixNano ?? 0n) - 1_000n);
  }
});

it('a request without a trace begins one; probes and scrapes begin none', async () => {
  const { server, spans } = await startTraced(await collectorForTest(), {
    OTEL_SERVICE_NAME: 'parts',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=prod',
  });
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    const { headers } = await server.ask(path);
    expect(headers.has('traceresponse')).toBe(false);
  }
  await server.ask('/labels');
  const received = await spans();
  expect(received).toMatchObject([
    {
      name: 'GET /labels',
      resource: { 'service.name': 'parts', 'deployment.environment.name': 'prod' },
    },
  ]);
  expect(received[0]?.parentSpanId ?? '').toBe('');
});

it('several images have stages each; an image that fails, and a request that fails, say with which code', async () => {
  const { server, spans } = await startTraced(await collectorForTest());
  const red = await drawColour('red');
  const parts = [red, red, Buffer.from('no image')].map((content, i) => ({
    ...{ name: 'images', filename: `${i}.png` },
    content,
  }));
  const headers = { 'content-type': 'multipart/form-data; boundary=edge' };
  expect((await server.ask('/classify', { method: 'POST', headers, body: multipart(parts) })).status).toBe(
    200,
  );
  server.served.classifier = undefined;
  expect((await post(server)).status).toBe(503);
  const received = await spans();
  expect(received.filter(({ name }) => name === 'vote').length).toBe(2);
  const [several, refused] = received.filter(({ name }) => name === 'POST /classify');
  expect(several).toMatchObject({ attributes: { 'error.type': 'image_unsupported' }, status: { code: 0 } });
  expect(refused).toMatchObject({
    attributes: { 'error.type': 'not_ready', 'http.response.status_code': '503' },
    status: { code: 2 },
  });
});

it('what the caller does not sample is not sent, and a traceparent that is none begins a trace', async () => {
  const { server, spans } = await startTraced(await collectorForTest());
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const unsampled = await post(server, { traceparent: `00-${traceId}-b7ad6b7169203331-00` });
  expect(unsampled.headers.get('traceresponse')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  const broken = await post(server, { traceparent: 'ff-zero' });
  expect(broken.status).toBe(200);
  const received = await spans();
  expect(new Set(received.map((span) => span.traceId)).size).toBe(1);
  expect(received[0]?.traceId).not.toBe(traceId);
});

it('a collector that never answers holds up neither a request nor the stop; one that refuses is told in the log', async () => {
  const silent = await startTraced(await collectorForTest(() => undefined));
  expect((await post(silent.server)).status).toBe(200);
  const stoppedAt = performance.now();
  await silent.tracing.close(100);
  expect(performance.now() - stoppedAt).toBeLessThan(5_000);

  const gone = await startCollector();
  await gone.close();
  const refusing = await startTraced(gone, { OTEL_EXPORTER_OTLP_TIMEOUT: '200' });
  expect((await post(refusing.server)).status).toBe(200);
  await refusing.tracing.close(10_000);
  expect(refusing.warnings).toMatchObject([[{ spans: 6 }, 'traces cannot be sent to the collector']]);
  await refusing.server.expectStillServing();
});
