import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { root } from '../cli/nearvote.js';
import { startTestServer, type TestServer } from '../server/test-server.js';
import { has, run } from './tool.js';

const promtool = has('promtool', '--version');

describe.runIf(promtool)('Prometheus itself', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  it('takes the alerts, and raises each of them where it should and not where it should not', () => {
    expect(run('promtool', ['check', 'rules', 'prometheus/alerts.yaml'])).toContain('rules found');
    expect(run('promtool', ['test', 'rules', 'prometheus/alerts.test.yaml'])).toContain('SUCCESS');
  });

  it('takes its configuration, whose files are where they are mounted', () => {
    expect(run('promtool', ['check', 'config', '--syntax-only', 'prometheus/prometheus.yaml'])).toContain(
      'SUCCESS',
    );
  });

  it('reads a scrape of a real server, and finds nothing to say of its names', async () => {
    await server.expectStillServing();
    const { text } = await server.ask('/metrics');
    const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    // Of Node's own series, which prom-client names.
    const said = `${stdout}${stderr}`
      .split('\n')
      .filter((line) => line !== '' && !/^(nodejs|process)_/.test(line));
    expect(said).toEqual([]);
    const broken = text.replace('# TYPE nearvote_queue_depth gauge', '# TYPE nearvote_queue_depth gouge');
    expect(spawnSync('promtool', ['check', 'metrics'], { input: broken }).status).not.toBe(0);
  });
});

it('every alert has a case that raises it among the unit tests', () => {
  const read = (file: string): unknown => parse(readFileSync(join(root, 'deploy/prometheus', file), 'utf8'));
  const { groups } = read('alerts.yaml') as { groups: { rules: { alert: string }[] }[] };
  const { tests } = read('alerts.test.yaml') as {
    tests: { alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[] }[];
  };
  const raised = tests.flatMap((one) =>
    one.alert_rule_test
      .filter(({ exp_alerts: expected = [] }) => expected.length > 0)
      .map(({ alertname }) => alertname),
  );
  expect(new Set(raised)).toEqual(new Set(groups.flatMap(({ rules }) => rules.map(({ alert }) => alert))));
});
