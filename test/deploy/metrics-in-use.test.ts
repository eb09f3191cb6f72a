import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { root } from '../cli/nearvote.js';
import { startTestServer, type TestServer } from '../server/test-server.js';
import { readPromql, readScrape, unanswerable, withoutVariables, type Scrape } from './promql.js';

const read = (file: string): string => readFileSync(join(root, 'deploy', file), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly runbook: string };
}
const rules = (parse(read('prometheus/alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}
const dashboard = JSON.parse(read('grafana/nearvote.json')) as Dashboard;
const targets = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map((target) => ({ title, ...target })),
);

let server: TestServer;
let scrape: Scrape;
beforeAll(async () => {
  server = await startTestServer();
  await server.expectStillServing();
  // As of an index that is fetched: others have no series of it.
  server.serving.indexes[0].bundle = {
    state: { sha256: 'a'.repeat(64), lastSuccess: new Date(), failures: 0, failure: undefined },
  };
  scrape = readScrape((await server.ask('/metrics')).text);
});
afterAll(() => server.close());

describe('what is asked of a scrape', () => {
  it('is refused where a metric, a label or a value of a label does not exist, and where it is no PromQL', () => {
    const wrong = (expr: string): string[] => unanswerable(expr, scrape);
    expect(wrong('rate(nearvote_requests_total[5m])')).toEqual(['no metric nearvote_requests_total']);
    expect(wrong('nearvote_queue_depth{index="a"}')).toEqual(['nearvote_queue_depth has no label index']);
    expect(wrong('nearvote_rejected_total{reason="too_busy"}')).toEqual([
      'nearvote_rejected_total has no reason too_busy',
    ]);
    expect(wrong('nearvote_http_requests_total{route=~"/classify|/class"}')).toEqual([
      'nearvote_http_requests_total has no route /class',
    ]);
    expect(wrong('sum by (code) (nearvote_http_requests_total)')).toEqual(['no label code']);
    expect(wrong('sum by (route, instance) (rate(nearvote_http_requests_total{status=~"5.."}[5m]))')).toEqual(
      [],
    );
    expect(() => wrong('sum by (route (nearvote_queue_depth)')).toThrow('Expected PromQL');
  });
});

describe('the alerts', () => {
  it('ask for what a real server has', () => {
    expect(rules.length).toBeGreaterThan(10);
    for (const { alert, expr } of rules) expect(unanswerable(expr, scrape), alert).toEqual([]);
  });

  it('each have a section of the runbook, and the runbook no other', () => {
    const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8');
    const sections = [...runbook.matchAll(/^## (Nearvote\w+)$/gm)].map(([, name]) => name);
    expect(sections).toEqual(rules.map(({ alert }) => alert));
    for (const { alert, annotations } of rules)
      expect(annotations.runbook).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
  });

  it('name in their texts only labels that their result has', () => {
    for (const { alert, expr, annotations } of rules) {
      const { selectors } = readPromql(expr);
      const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ');
      const labels = grouped ?? ['job', 'instance', ...selectors.flatMap(({ metric }) => labelsOf(metric))];
      const named = [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
      for (const label of named) expect(labels, alert).toContain(label);
    }
  });
});

describe('the dashboard', () => {
  it('asks for what a real server has', () => {
    expect(targets.length).toBeGreaterThan(20);
    for (const { title, expr } of targets) expect(unanswerable(expr, scrape), title).toEqual([]);
  });

  it('filters everything by the servers that are chosen, and only by variables that it has', () => {
    const variables = new Set(['__rate_interval', ...dashboard.templating.list.map(({ name }) => name)]);
    for (const { title, expr } of targets) {
      for (const [, name = ''] of expr.matchAll(/\$(\w+)/g)) expect(variables, title).toContain(name);
      for (const { matchers } of readPromql(withoutVariables(expr)).selectors)
        expect(
          matchers.map(({ label }) => label),
          title,
        ).toEqual(expect.arrayContaining(['job', 'instance']));
    }
    for (const { definition } of dashboard.templating.list) {
      const [, selector] = /^label_values\((.*), \w+\)$/.exec(definition ?? '') ?? [];
      if (selector !== undefined) expect(unanswerable(selector, scrape)).toEqual([]);
    }
  });

  it('calls lines by labels that they have', () => {
    for (const { title, expr, legendFormat } of targets) {
      const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ');
      const { selectors } = readPromql(withoutVariables(expr));
      const labels = grouped ?? ['instance', ...selectors.flatMap(({ metric }) => labelsOf(metric))];
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(labels, title).toContain(label);
    }
  });

  it('says of each panel what it shows, and lays no panel over another', () => {
    const taken = new Set<string>();
    for (const { id, type, title, description, gridPos } of dashboard.panels) {
      if (type !== 'row') expect(description, title).toMatch(/\.$/);
      expect(taken, title).not.toContain(`id ${id}`);
      taken.add(`id ${id}`);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(x < 24 && !taken.has(`${x} ${y}`), title).toBe(true);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });
});

it('the autoscaler asks for what a real server has', () => {
  const { spec } = parse(read('kubernetes/autoscaling/scaled-object.yaml')) as {
    spec: { triggers: { metadata: { query: string } }[] };
  };
  const queries = spec.triggers.map(({ metadata }) => metadata.query);
  for (const query of queries) expect(unanswerable(query, scrape)).toEqual([]);
  expect(queries.flatMap((query) => readPromql(query).selectors.map(({ metric }) => metric))).toEqual([
    'nearvote_inflight_images',
    'nearvote_queue_depth',
  ]);
});

const labelsOf = (metric: string): string[] => (scrape.get(metric) ?? []).flatMap((one) => Object.keys(one));
