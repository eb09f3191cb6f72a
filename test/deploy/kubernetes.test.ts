import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { faultsOf, type Manifest } from './kubernetes-kinds.js';
import { folder, folders, kustomizationOf, manifestsOf, variablesOf, written } from './manifests.js';
import { has, run } from './tool.js';

const one = (file: string): Manifest => {
  const found = written.find((each) => each.file === file)?.manifest;
  if (found === undefined) throw new Error(`no ${file}`);
  return found;
};
/** A manifest with one piece of its text replaced by another. */
const mutant = (file: string, from: string, to: string): Manifest => {
  const text = JSON.stringify(one(file));
  expect(text).toContain(from);
  return JSON.parse(text.replace(from, to)) as Manifest;
};

describe('the manifests', () => {
  it('are what the schemas of Kubernetes, KEDA and the Prometheus operator ask for', () => {
    expect(written.length).toBeGreaterThan(10);
    expect(faultsOf(written.map(({ manifest }) => manifest)).flat()).toEqual([]);
  });

  it('would be refused with a wrong field, a wrong value or a missing one, of any kind', () => {
    const mutants = [
      mutant('base/deployment.yaml', '"readinessProbe"', '"readynessProbe"'),
      mutant('base/deployment.yaml', '"readOnlyRootFilesystem"', '"readOnlyRootFileSystem"'),
      mutant('base/deployment.yaml', '"topologySpreadConstraints"', '"topologySpread"'),
      mutant('base/deployment.yaml', '"replicas":2', '"replicas":"2"'),
      mutant('base/deployment.yaml', '"selector"', '"select"'),
      mutant('base/service.yaml', '"targetPort"', '"target"'),
      mutant('base/disruption-budget.yaml', '"maxUnavailable"', '"maxUnready"'),
      mutant('base/network-policy.yaml', '"namespaceSelector"', '"namespace"'),
      mutant('autoscaling/scaled-object.yaml', '"threshold":"32"', '"threshold":32'),
      mutant('autoscaling/scaled-object.yaml', '"minReplicaCount"', '"minReplicas"'),
      mutant('monitoring/service-monitor.yaml', '"scrapeTimeout"', '"timeout"'),
      mutant('monitoring/prometheus-rule.yaml', '"annotations"', '"notes"'),
      mutant('build/parts.yaml', '"completionMode"', '"mode"'),
      mutant('build/volume-claim.yaml', '"accessModes"', '"accessMode"'),
    ];
    for (const [i, faults] of faultsOf(mutants).entries()) expect(faults, `mutant ${i}`).not.toEqual([]);
  });

  it('are all in a kustomization, and each kustomization names files and folders that exist', () => {
    const named = folders.flatMap((name) => {
      const { resources = [], components = [], patches = [] } = kustomizationOf(name);
      return [...resources, ...components, ...patches.flatMap(({ path }) => path ?? [])].map((file) =>
        join(name, file),
      );
    });
    for (const file of named) expect(existsSync(join(folder, file)), file).toBe(true);
    // Applied by itself, when the parts are done.
    const unnamed = written.map(({ file }) => file).filter((file) => !named.includes(file));
    expect(unnamed).toEqual(['build/merge.yaml']);
  });

  it('have the alerts of deploy/prometheus, as its script makes them', () => {
    const made = run(process.execPath, ['prometheus/as-rule-resource.mjs']);
    expect(readFileSync(join(folder, 'monitoring/prometheus-rule.yaml'), 'utf8')).toBe(made);
  });
});

// With a kustomize of 2022 or later: an older one knows no `labels`.
const kubectl = has('kubectl', 'kustomize', 'deploy/kubernetes/base');
describe.runIf(kubectl)('kubectl kustomize', () => {
  it('renders every folder that can be applied to what the schemas ask for', () => {
    const rendered = folders.filter((name) => !isComponent(name)).map(render);
    expect(rendered.length).toBeGreaterThan(3);
    for (const manifests of rendered) expect(manifests.length).toBeGreaterThan(1);
    expect(faultsOf(rendered.flat()).flat()).toEqual([]);
  });

  it('gives the servers the variables, the password and the number of replicas that the folders say', () => {
    const manifests = render('example');
    const ofKind = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);
    expect(ofKind('ConfigMap')).toMatchObject([{ data: variablesOf('example') }]);
    const [deployment] = ofKind('Deployment');
    expect(deployment).toMatchObject({
      metadata: { namespace: 'nearvote' },
      spec: { template: { spec: { containers: [{ env: [{ name: 'PGPASSWORD' }] }] } } },
    });
    expect(deployment?.spec).not.toHaveProperty('replicas');
    expect(manifests.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['ScaledObject', 'ServiceMonitor', 'PrometheusRule', 'PodDisruptionBudget']),
    );
  });
});

const render = (name: string): Manifest[] => manifestsOf(run('kubectl', ['kustomize', `kubernetes/${name}`]));

const isComponent = (name: string): boolean =>
  readFileSync(join(folder, name, 'kustomization.yaml'), 'utf8').includes('kind: Component');
