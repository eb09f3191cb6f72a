import {
  defaultTextMapGetter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
} from '@opentelemetry/api';
import { ExportResultCode, W3CTraceContextPropagator, type ExportResult } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import type { StageTimings } from '../classify.js';
import type { RequestTrace, TracedRequest, Tracing, TracingOptions } from './request-trace.js';

/** A collector that is gone would be told of every five seconds. */
const msBetweenWarnings = 60_000;

/**
 * Tracing by OpenTelemetry. Sampler, batches, limits, headers and addresses are what its own variables say; spans that
 * nobody takes in time are dropped. It registers nothing globally.
 */
export function startTracing({ logger, version }: TracingOptions): Tracing {
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'nearvote', 'service.version': version }))
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
    .merge(detectResources({ detectors: [envDetector] }));
  const provider = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(warningOf(new OTLPTraceExporter(), logger))],
  });
  const tracer = provider.getTracer('nearvote', version);
  const propagator = new W3CTraceContextPropagator();

  function begin({ method, route, headers, requestId, startedAt }: TracedRequest): RequestTrace {
    // Spans are told by the wall clock: one difference for the whole request keeps them in order.
    const offset = Date.now() - performance.now();
    const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
    const attributes = {
      'http.request.method': method,
      'http.route': route,
      'nearvote.request_id': requestId,
    };
    const span = tracer.startSpan(
      `${method} ${route}`,
      { kind: SpanKind.SERVER, startTime: offset + startedAt, attributes },
      parent,
    );
    const { traceId, spanId, traceFlags } = span.spanContext();
    const inside = trace.setSpan(parent, span);
    return {
      traceId,
      header: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
      image(timings, imageAt) {
        if (!span.isRecording()) return;
        const ended = performance.now();
        for (const { name, from, to } of stagesOf(timings, imageAt, ended))
          childOf(inside, { name, from: offset + from, to: offset + to });
      },
      failed(code) {
        span.setAttribute('error.type', code);
      },
      end(status) {
        span.setAttribute('http.response.status_code', status);
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end(offset + performance.now());
      },
    };
  }

  function childOf(inside: Context, { name, from, to }: { name: string; from: number; to: number }): Span {
    const child = tracer.startSpan(name, { startTime: from }, inside);
    child.end(to);
    return child;
  }

  return {
    begin,
    async close(withinMs) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, withinMs);
      });
      // What could not be sent was told by the exporter.
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}

interface Stage {
  readonly name: string;
  /** `performance.now()`, as `to`. */
  readonly from: number;
  readonly to: number;
}

/**
 * Where in a request its stages were. They are measured as durations: decoding begins the work on an image and queue and
 * encoder follow at once, the vote ends it and the search comes right before that; between is the way to the index and back.
 */
function stagesOf(
  { decodeMs, queueMs, encodeMs, searchMs, voteMs }: StageTimings,
  startedAt: number,
  endedAt: number,
): Stage[] {
  const decoded = startedAt + decodeMs;
  const taken = decoded + queueMs;
  const found = endedAt - voteMs;
  const stages = [
    { name: 'decode', from: startedAt, to: decoded },
    { name: 'queue', from: decoded, to: taken },
    { name: 'encode', from: taken, to: taken + encodeMs },
    { name: 'search', from: found - searchMs, to: found },
    { name: 'vote', from: found, to: endedAt },
  ];
  // An embedding is neither searched nor voted on.
  return searchMs === 0 && voteMs === 0 ? stages.slice(0, 3) : stages;
}

/** Says once in a while that spans could not be sent; OpenTelemetry itself says nothing. */
function warningOf(exporter: SpanExporter, logger: TracingOptions['logger']): SpanExporter {
  let warnedAt = -Infinity;
  return {
    export(spans: ReadableSpan[], done: (result: ExportResult) => void) {
      exporter.export(spans, (result) => {
        if (result.code !== ExportResultCode.SUCCESS && performance.now() - warnedAt > msBetweenWarnings) {
          warnedAt = performance.now();
          logger.warn({ err: result.error, spans: spans.length }, 'traces cannot be sent to the collector');
        }
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  };
}
