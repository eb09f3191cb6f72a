import { afterEach, describe, expect, it } from 'vitest';

import { aCalibration } from '../examples/a-calibration.js';
import { createMetrics } from '../../src/server/metrics.js';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import type { OpenPair } from '../../src/pair.js';
import { createServing } from '../../src/server/serving.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';
import { startTestServer, type TestServer } from './test-server.js';

let server: TestServer | undefined;
afterEach(() => server?.close());

/** Sample lines of the Prometheus text: name and labels to value. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

const scrape = async (one: TestServer): Promise<Map<string, number>> =>
  samples((await one.ask('/metrics')).text);

describe('the metrics', () => {
  it('have every series of the contract before the first request', async () => {
    server = await startTestServer();
    const found = await scrape(server);
    for (const series of [
      'nearvote_http_requests_total{route="/classify",method="POST",status="200"}',
      'nearvote_http_requests_total{route="/classify",method="POST",status="429"}',
      'nearvote_http_requests_total{route="/readyz",method="GET",status="503"}',
      'nearvote_http_requests_total{route="other",method="GET",status="404"}',
      'nearvote_http_request_duration_seconds_count{route="/embed"}',
      'nearvote_http_request_duration_seconds_bucket{le="0.001",route="other"}',
      ...['decode', 'queue', 'encode', 'search', 'vote'].map(
        (stage) => `nearvote_stage_duration_seconds_count{stage="${stage}"}`,
      ),
      'nearvote_batch_size_count',
      'nearvote_queue_depth',
      'nearvote_rejected_total{reason="overloaded"}',
      'nearvote_rejected_total{reason="image_damaged"}',
      'nearvote_predictions_total{index="colours",label="red",outcome="known"}',
      'nearvote_predictions_total{index="colours",label="red",outcome="unknown"}',
      'nearvote_predictions_total{index="colours",label="other",outcome="unknown"}',
      'nearvote_top1_similarity_count{index="colours"}',
      'nearvote_vote_confidence_count{index="colours"}',
      'nearvote_index_reloads_total{index="colours",result="ok"}',
      'nearvote_index_reloads_total{index="colours",result="failed"}',
      'nearvote_worker_restarts_total{process="encoder"}',
      'nearvote_worker_restarts_total{process="index",index="colours"}',
      'nearvote_search_exact{index="colours"}',
      'nearvote_calibrated{index="colours"}',
      'nearvote_similarity_psi{index="colours"}',
    ]) {
      expect([series, found.get(series)]).toEqual([series, 0]);
    }
    // The scrape itself.
    expect(found.get('nearvote_inflight_requests')).toBe(1);
    expect(found.get('nearvote_index_info{index="colours",version="1",encoder="mean-colour"}')).toBe(1);
    expect(found.get('nearvote_index_examples{index="colours"}')).toBe(30);
    expect(found.get('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  it('say of each index whether it can answer, as /readyz does', async () => {
    server = await startTestServer({ others: { leaves: undefined } });
    const ready = async (one: TestServer): Promise<unknown[]> => {
      const found = await scrape(one);
      return ['colours', 'leaves'].map((index) => found.get(`nearvote_index_ready{index="${index}"}`));
    };
    expect(await ready(server)).toEqual([1, 0]);
    server.served.workersReady = () => false;
    expect(await ready(server)).toEqual([0, 0]);
  });

  it('count requests by the pattern of their route, images by stage and errors by code', async () => {
    server = await startTestServer();
    const image = { method: 'POST', headers: { 'content-type': 'image/png' } };
    await server.ask('/classify?k=3', { ...image, body: await drawColour('blue') });
    await server.ask('/classify', { ...image, body: 'text' });
    await server.ask('/secret/path/1');
    await server.ask('/docs/swagger-ui.css');
    const found = await scrape(server);
    expect(found.get('nearvote_http_requests_total{route="/classify",method="POST",status="200"}')).toBe(1);
    expect(found.get('nearvote_http_requests_total{route="/classify",method="POST",status="415"}')).toBe(1);
    expect(found.get('nearvote_http_requests_total{route="other",method="GET",status="404"}')).toBe(1);
    expect(found.get('nearvote_http_requests_total{route="/docs",method="GET",status="200"}')).toBe(1);
    expect(found.get('nearvote_http_request_duration_seconds_count{route="/classify"}')).toBe(2);
    expect(found.get('nearvote_rejected_total{reason="image_unsupported"}')).toBe(1);
    expect(found.get('nearvote_predictions_total{index="colours",label="blue",outcome="known"}')).toBe(1);
    // 3 ms of encode, in seconds.
    expect(found.get('nearvote_stage_duration_seconds_sum{stage="encode"}')).toBeCloseTo(0.003, 12);
    expect([...found.keys()].join()).not.toContain('secret');
  });

  it('keep a series for each of 200 labels, and one for the rest', async () => {
    const metrics = createMetrics(['colours']);
    const labels = Array.from({ length: 250 }, (_, i) => `label-${i}`);
    const classifier = createColourClassifier();
    metrics.serves({ ...classifier, labels }, { searchKind: 'exact', providers: ['cpu'] });
    const classification = await classifier.classify(await drawColour('red'));
    const { decision } = classification;
    for (const label of ['label-199', 'label-200', 'label-249', 'never seen']) {
      metrics.decided({ ...classification, decision: { ...decision, label } });
    }
    const found = samples(await metrics.text());
    const series = [...found.keys()].filter((key) => key.startsWith('nearvote_predictions_total'));
    expect(series).toHaveLength(2 * 201);
    expect(found.get('nearvote_predictions_total{index="colours",label="label-199",outcome="known"}')).toBe(
      1,
    );
    expect(found.get('nearvote_predictions_total{index="colours",label="other",outcome="known"}')).toBe(3);
    expect(found.get('nearvote_search_exact{index="colours"}')).toBe(1);
  });

  it('stay bounded whatever methods and paths are sent', async () => {
    server = await startTestServer();
    for (let i = 0; i < 20; i++) await server.ask(`/path-${i}`, { method: `M${i}` }).catch(() => undefined);
    await server.ask('/x', { method: 'PROPFIND' });
    const found = await scrape(server);
    expect(found.get('nearvote_http_requests_total{route="other",method="other",status="404"}')).toBe(1);
    const series = [...found.keys()].filter((key) => key.includes('path-') || key.includes('PROPFIND'));
    expect(series).toEqual([]);
  });

  it('read the depth of the queue when they are scraped, and forget the pair that was replaced', async () => {
    const metrics = createMetrics(['colours']);
    let depth = 3;
    metrics.watchQueue(() => depth);
    expect(await metrics.text()).toContain('nearvote_queue_depth 3');
    depth = 7;
    expect(await metrics.text()).toContain('nearvote_queue_depth 7');
    const pair = createColourClassifier();
    metrics.serves(pair, { searchKind: 'hnsw', providers: ['cpu'] });
    metrics.serves(
      { ...pair, index: { ...pair.index, version: '2' } },
      { searchKind: 'hnsw', providers: ['cuda', 'cpu'] },
    );
    const found = samples(await metrics.text());
    expect([...found.keys()].filter((key) => key.startsWith('nearvote_index_info'))).toEqual([
      'nearvote_index_info{index="colours",version="2",encoder="mean-colour"}',
    ]);
    expect([...found.keys()].filter((key) => key.startsWith('nearvote_encoder_info'))).toEqual([
      'nearvote_encoder_info{encoder="mean-colour",version="2",runtime="onnxruntime",providers="cuda,cpu"}',
    ]);
  });

  it('say whether answers are calibrated, and how far their similarities are from the calibration', async () => {
    const metrics = createMetrics(['colours']);
    const psi = async (): Promise<number | undefined> =>
      samples(await metrics.text()).get('nearvote_similarity_psi{index="colours"}');
    // Half of the calibration's images below 0.5, half above.
    const calibrated = createColourClassifier(
      aCalibration({ topSimilarity: { edges: [0.5], counts: [5, 5] } }),
    );
    metrics.serves(calibrated, { searchKind: 'exact', providers: ['cpu'] });
    expect(samples(await metrics.text()).get('nearvote_calibrated{index="colours"}')).toBe(1);
    const classification = await calibrated.classify(await drawColour('red'));
    const decide = (times: number, topSimilarity: number): void => {
      for (let i = 0; i < times; i++) metrics.decided({ ...classification, topSimilarity });
    };
    decide(199, 0.9);
    expect(await psi()).toBe(0);
    decide(199, 0.1);
    expect(await psi()).toBeCloseTo(0, 12);
    // Only the last 1,000 count: 900 above and 100 below, (0.9 - 0.5) ln(0.9 / 0.5) + (0.1 - 0.5) ln(0.1 / 0.5).
    decide(5_000, 0.1);
    decide(900, 0.5);
    expect(await psi()).toBeCloseTo(0.4 * Math.log(1.8) - 0.4 * Math.log(0.2), 12);
    metrics.serves(createColourClassifier(), { searchKind: 'exact', providers: ['cpu'] });
    expect(samples(await metrics.text()).get('nearvote_calibrated{index="colours"}')).toBe(0);
    expect(await psi()).toBe(0);
  });

  it('write what a label could do to a terminal as an escape', async () => {
    const name = 'i\u009b2J';
    const metrics = createMetrics([name]);
    const classifier = createColourClassifier();
    const index = { ...classifier.index, name };
    metrics.serves(
      { ...classifier, index, labels: ['a\u001b[2J'] },
      { searchKind: 'exact', providers: ['cpu'] },
    );
    const text = await metrics.text();
    expect(text).not.toMatch(/[^\n\P{Cc}]/u);
    // Prometheus doubles a backslash.
    expect(text).toContain(
      'nearvote_predictions_total{index="i\\\\u009b2J",label="a\\\\u001b[2J",outcome="known"} 0',
    );
  });

  it('count batches, restarts, reloads and lost lines of the two logs', async () => {
    const metrics = createMetrics(['colours']);
    metrics.batch(5);
    metrics.processEnded('encoder', 'colours');
    metrics.processEnded('index', 'colours');
    metrics.processEnded('index', 'colours');
    metrics.reloaded('colours', 'failed');
    metrics.decisionLogLost(3);
    metrics.logLinesDropped(4);
    const found = samples(await metrics.text());
    expect(found.get('nearvote_batch_size_bucket{le="4"}')).toBe(0);
    expect(found.get('nearvote_batch_size_bucket{le="8"}')).toBe(1);
    expect(found.get('nearvote_worker_restarts_total{process="encoder"}')).toBe(1);
    expect(found.get('nearvote_worker_restarts_total{process="index",index="colours"}')).toBe(2);
    expect(found.get('nearvote_index_reloads_total{index="colours",result="failed"}')).toBe(1);
    expect(found.get('nearvote_decision_log_lost_total')).toBe(3);
    expect(found.get('nearvote_log_lines_dropped_total')).toBe(4);
  });
});

describe('the metrics of a replica', () => {
  it('count the reads that passed it, as a counter does: scraped twice it is the same, opened again it begins anew', async () => {
    const metrics = createMetrics(['parts', 'folder']);
    const state = { sequence: 0, examples: 3, changed: 0, labels: [] };
    const [parts, folder] = createServing(['parts', 'folder']).indexes;
    const passed = (reads: number): void => {
      const replica = { ready: true, behind: 2, lagSeconds: 1.5, passed: reads };
      const neighbours: Partial<Neighbours> = { replica, state };
      parts.pair = { neighbours: neighbours as Neighbours } as OpenPair;
    };
    for (const served of [parts, folder]) {
      if (served !== undefined) metrics.watchIndex(served.name, { served, following: { staleSeconds: 0 } });
    }
    const name = 'nearvote_index_replica_passed_reads_total';
    for (const reads of [7, 7, 9, 1]) {
      passed(reads);
      const text = await metrics.text();
      expect(text).toContain(`# TYPE ${name} counter`);
      expect(samples(text).get(`${name}{index="parts"}`)).toBe(reads);
      expect(samples(text).get(`${name}{index="folder"}`)).toBe(0);
    }
    expect(samples(await metrics.text()).get('nearvote_index_replica_behind_changes{index="parts"}')).toBe(2);
  });
});
