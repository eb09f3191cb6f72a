import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

import type { Classification, Classifier, StageTimings } from '../classify.js';
import type { ErrorCode } from '../domain/errors.js';
import type { PairProcess } from '../pair.js';
import { createDriftWindow, type DriftWindow } from './drift-window.js';
import { createIndexMetrics, type IndexMetrics } from './index-metrics.js';
import { addMemoryMetrics } from './memory-metrics.js';
import { clientVisibleCodes, problemKinds } from './problems.js';
import { allRoutes } from './routes.js';

interface HttpObservation {
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
}

/** What the server counts. Every method is cheap, synchronous and cannot fail a request. */
export interface Metrics extends IndexMetrics {
  readonly contentType: string;
  requestStarted(): void;
  requestEnded(observation: HttpObservation): void;
  stages(timings: StageTimings): void;
  decided(classification: Classification): void;
  /** A request, or one image of many, was answered with this code. */
  rejected(code: ErrorCode): void;
  batch(size: number): void;
  /** One that was not told to, or that could not be started again; a process that encodes is no index's own. */
  processEnded(process: PairProcess, index: string): void;
  reloaded(index: string, result: 'ok' | 'failed'): void;
  decisionLogLost(lines: number): void;
  logLinesDropped(lines: number): void;
  /** The pair that answers for its index from now on. */
  serves(
    pair: Pick<Classifier, 'index' | 'encoder' | 'labels' | 'calibration'>,
    how: { readonly searchKind: 'hnsw' | 'exact'; readonly providers: readonly string[] },
  ): void;
  /** Asked at every scrape. */
  watchQueue(depth: () => number): void;
  /** Asked at every scrape: what requests hold together. */
  watchHeld(held: () => { readonly images: number; readonly bytes: number }): void;
  /** Prometheus text. */
  text(): Promise<string>;
}

const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const stageSeconds = [0.0001, 0.00025, 0.0005, ...requestSeconds];
const stageFields = {
  decode: 'decodeMs',
  queue: 'queueMs',
  encode: 'encodeMs',
  search: 'searchMs',
  vote: 'voteMs',
} as const satisfies Record<string, keyof StageTimings>;
const stageNames = Object.keys(stageFields) as (keyof typeof stageFields)[];
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** Labels of an index with a series of their own; the rest share `other`. */
const maxLabels = 200;

/** What is counted for one index. */
interface IndexSeries {
  /** What it is called there. */
  readonly index: string;
  /** Its labels with a series of their own, and what they are called there. */
  readonly labels: Map<string, string>;
  drift: DriftWindow | undefined;
  /** The labels of its info series, and of its encoder's. */
  info: Record<'index' | 'version' | 'encoder', string> | undefined;
  encoder: Record<'encoder' | 'version' | 'runtime' | 'providers', string> | undefined;
}

/**
 * Metrics in a registry of their own, so that two servers in one process do not share counts.
 * @param indexes the names of all indexes that the server was started with: no other gets a series
 */
export function createMetrics(indexes: readonly string[]): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  addMemoryMetrics(registry);
  let readQueueDepth = (): number => 0;
  let readHeld = (): { readonly images: number; readonly bytes: number } => ({ images: 0, bytes: 0 });
  const byIndex = new Map(
    indexes.map((name): [string, IndexSeries] => [
      name,
      { index: readable(name), labels: new Map(), drift: undefined, info: undefined, encoder: undefined },
    ]),
  );

  const requests = new Counter({
    name: 'nearvote_http_requests_total',
    help: 'Requests answered',
    labelNames: ['route', 'method', 'status'],
    registers,
  });
  const requestDuration = new Histogram({
    name: 'nearvote_http_request_duration_seconds',
    help: 'From the request line to the answer',
    labelNames: ['route'],
    buckets: requestSeconds,
    registers,
  });
  const stageDuration = new Histogram({
    name: 'nearvote_stage_duration_seconds',
    help: 'Where the time of an image went; encode and search are of its whole batch',
    labelNames: ['stage'],
    buckets: stageSeconds,
    registers,
  });
  const batchSize = new Histogram({
    name: 'nearvote_batch_size',
    help: 'Images embedded at once',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
    registers,
  });
  new Gauge({
    name: 'nearvote_queue_depth',
    help: 'Images waiting for a worker',
    registers,
    collect() {
      this.set(readQueueDepth());
    },
  });
  const inflight = new Gauge({
    name: 'nearvote_inflight_requests',
    help: 'Requests not answered yet',
    registers,
  });
  new Gauge({
    name: 'nearvote_inflight_images',
    help: 'Images inside: being read, decoded, waiting or in a worker; --max-queue bounds them',
    registers,
    collect() {
      this.set(readHeld().images);
    },
  });
  new Gauge({
    name: 'nearvote_inflight_bytes',
    help: 'Bytes of request bodies, and of answers that are not read yet; --max-inflight-bytes bounds them',
    registers,
    collect() {
      this.set(readHeld().bytes);
    },
  });
  const rejections = new Counter({
    name: 'nearvote_rejected_total',
    help: 'Requests, and images of a request of many, answered with an error, by its code',
    labelNames: ['reason'],
    registers,
  });
  const predictions = new Counter({
    name: 'nearvote_predictions_total',
    help: `Decisions by label; past ${maxLabels} labels of an index the rest are "other"`,
    labelNames: ['index', 'label', 'outcome'],
    registers,
  });
  const topSimilarity = new Histogram({
    name: 'nearvote_top1_similarity',
    help: 'Cosine similarity of the nearest neighbour',
    labelNames: ['index'],
    buckets: [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1],
    registers,
  });
  const confidence = new Histogram({
    name: 'nearvote_vote_confidence',
    help: 'Confidence of the decisions',
    labelNames: ['index'],
    buckets: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1],
    registers,
  });
  new Gauge({
    name: 'nearvote_index_info',
    help: '1 for each pair that answers',
    labelNames: ['index', 'version', 'encoder'],
    registers,
    collect() {
      this.reset();
      for (const { info } of byIndex.values()) if (info !== undefined) this.set(info, 1);
    },
  });
  new Gauge({
    name: 'nearvote_encoder_info',
    help: '1 for each encoder that answers, what runs it, and the execution providers it was given, the preferred one first',
    labelNames: ['encoder', 'version', 'runtime', 'providers'],
    registers,
    collect() {
      this.reset();
      for (const { encoder } of byIndex.values()) if (encoder !== undefined) this.set(encoder, 1);
    },
  });
  const reloads = new Counter({
    name: 'nearvote_index_reloads_total',
    help: 'Reloads of the index',
    labelNames: ['index', 'result'],
    registers,
  });
  const restarts = new Counter({
    name: 'nearvote_worker_restarts_total',
    help: "Processes that ended although nobody told them to, and attempts to replace them that failed; those that encode are no index's own",
    labelNames: ['process', 'index'],
    registers,
  });
  const searchExact = new Gauge({
    name: 'nearvote_search_exact',
    help: '1 where neighbours come from exact search',
    labelNames: ['index'],
    registers,
  });
  const calibrated = new Gauge({
    name: 'nearvote_calibrated',
    help: '1 where a calibration is served to requests without a k and vote of their own',
    labelNames: ['index'],
    registers,
  });
  new Gauge({
    name: 'nearvote_similarity_psi',
    help: 'Population stability index of the last 1,000 top similarities against the calibration; 0 until 200',
    labelNames: ['index'],
    registers,
    collect() {
      for (const { index, drift } of byIndex.values()) this.set({ index }, drift?.index() ?? 0);
    },
  });
  const logLosses = new Counter({
    name: 'nearvote_decision_log_lost_total',
    help: 'Decisions that could not be written to the decision log',
    registers,
  });
  const droppedLogLines = new Counter({
    name: 'nearvote_log_lines_dropped_total',
    help: 'Log lines that nobody reads: the disk is full, or the reader of stderr has stopped or gone',
    registers,
  });

  for (const { path, methods: allowed, success, codes } of allRoutes) {
    requestDuration.zero({ route: path });
    const statuses = new Set([success, ...codes.map((code) => problemKinds[code].status)]);
    for (const method of allowed) {
      for (const status of statuses) requests.inc({ route: path, method, status }, 0);
    }
  }
  requestDuration.zero({ route: 'other' });
  requests.inc({ route: 'other', method: 'GET', status: 404 }, 0);
  for (const stage of stageNames) stageDuration.zero({ stage });
  for (const reason of clientVisibleCodes) rejections.inc({ reason }, 0);
  restarts.inc({ process: 'encoder' }, 0);
  for (const { index } of byIndex.values()) {
    restarts.inc({ process: 'index', index }, 0);
    for (const result of ['ok', 'failed']) reloads.inc({ index, result }, 0);
    for (const outcome of ['known', 'unknown']) predictions.inc({ index, label: 'other', outcome }, 0);
    for (const histogram of [topSimilarity, confidence]) histogram.zero({ index });
    for (const gauge of [searchExact, calibrated]) gauge.set({ index }, 0);
  }

  const indexMetrics = createIndexMetrics(
    registry,
    new Map([...byIndex].map(([name, { index }]) => [name, index])),
  );
  return {
    ...indexMetrics,
    contentType: registry.contentType,
    requestStarted: () => inflight.inc(),
    requestEnded({ route, method, status, seconds }) {
      inflight.dec();
      requests.inc({ route, method: methods.has(method) ? method : 'other', status });
      requestDuration.observe({ route }, seconds);
    },
    stages(timings) {
      for (const stage of stageNames) stageDuration.observe({ stage }, timings[stageFields[stage]] / 1000);
    },
    decided({ decision, topSimilarity: similarity }) {
      const series = byIndex.get(decision.index.name);
      if (series === undefined) return;
      const { index, labels, drift } = series;
      predictions.inc({ index, label: seriesOf(decision.label, labels), outcome: decision.outcome });
      topSimilarity.observe({ index }, similarity);
      drift?.add(similarity);
      confidence.observe({ index }, decision.confidence);
    },
    rejected: (code) => rejections.inc({ reason: code }),
    batch: (size) => batchSize.observe(size),
    processEnded(process, name) {
      const index = byIndex.get(name)?.index;
      if (process === 'encoder') restarts.inc({ process });
      else if (index !== undefined) restarts.inc({ process, index });
    },
    reloaded(name, result) {
      const index = byIndex.get(name)?.index;
      if (index !== undefined) reloads.inc({ index, result });
    },
    decisionLogLost: (lines) => logLosses.inc(lines),
    logLinesDropped: (lines) => droppedLogLines.inc(lines),
    serves({ index: served, encoder, labels: servedLabels, calibration }, { searchKind, providers }) {
      const series = byIndex.get(served.name);
      if (series === undefined) return;
      const { index, labels } = series;
      const names = { encoder: readable(encoder.name), version: readable(encoder.version) };
      series.info = { index, version: readable(served.version), encoder: names.encoder };
      series.encoder = { ...names, runtime: encoder.runtime, providers: providers.join(',') };
      searchExact.set({ index }, searchKind === 'exact' ? 1 : 0);
      calibrated.set({ index }, calibration === undefined ? 0 : 1);
      series.drift = calibration && createDriftWindow(calibration.topSimilarity);
      for (const label of servedLabels) {
        if (labels.size >= maxLabels) break;
        labels.set(label, readable(label));
        for (const outcome of ['known', 'unknown'])
          predictions.inc({ index, label: readable(label), outcome }, 0);
      }
    },
    watchQueue(depth) {
      readQueueDepth = depth;
    },
    watchHeld(held) {
      readHeld = held;
    },
    text: () => registry.metrics(),
  };
}

/** Letters of a label, as much as one that is taught may have: what is longer would bloat every scrape. */
const mostLabelLetters = 200;

/** A label that was taught since gets a series of its own too, as long as there are few. */
function seriesOf(label: string, labels: Map<string, string>): string {
  const known = labels.get(label);
  if (known !== undefined) return known;
  if (labels.size >= maxLabels || label.length > mostLabelLetters) return 'other';
  labels.set(label, readable(label));
  return readable(label);
}

/** Whoever looks at metrics looks at them in a terminal: a control character of a label is written as `\u001b`. */
function readable(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
