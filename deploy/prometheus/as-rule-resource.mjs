// Prints alerts.yaml as a resource of the Prometheus operator:
//   node deploy/prometheus/as-rule-resource.mjs > deploy/kubernetes/monitoring/prometheus-rule.yaml
import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';

const { groups } = parse(readFileSync(new URL('alerts.yaml', import.meta.url), 'utf8'));
const resource = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PrometheusRule',
  metadata: { name: 'nearvote', labels: { 'app.kubernetes.io/name': 'nearvote' } },
  spec: { groups },
};
console.log('# Made by deploy/prometheus/as-rule-resource.mjs from deploy/prometheus/alerts.yaml.');
process.stdout.write(stringify(resource, { singleQuote: true, lineWidth: 0 }));
