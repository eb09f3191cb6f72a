import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount } from 'kubernetes-models/v1';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import {
  PrometheusRule,
  ServiceMonitor,
} from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import ts from 'typescript';
import { join } from 'node:path';
import { root } from '../cli/nearvote.js';

/** A resource as it is written. */
export type Manifest = { readonly apiVersion: string; readonly kind: string } & Record<string, unknown>;

/** Of each kind in use, its compiled JSON schema and the module that has its type. */
const kinds = {
  'v1/ConfigMap': [ConfigMap, 'kubernetes-models/v1'],
  'v1/Namespace': [Namespace, 'kubernetes-models/v1'],
  'v1/PersistentVolumeClaim': [PersistentVolumeClaim, 'kubernetes-models/v1'],
  'v1/Service': [Service, 'kubernetes-models/v1'],
  'v1/ServiceAccount': [ServiceAccount, 'kubernetes-models/v1'],
  'apps/v1/Deployment': [Deployment, 'kubernetes-models/apps/v1'],
  'batch/v1/Job': [Job, 'kubernetes-models/batch/v1'],
  'policy/v1/PodDisruptionBudget': [PodDisruptionBudget, 'kubernetes-models/policy/v1'],
  'networking.k8s.io/v1/NetworkPolicy': [NetworkPolicy, 'kubernetes-models/networking.k8s.io/v1'],
  'keda.sh/v1alpha1/ScaledObject': [ScaledObject, '@kubernetes-models/keda/keda.sh/v1alpha1'],
  'monitoring.coreos.com/v1/PrometheusRule': [
    PrometheusRule,
    '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
  ],
  'monitoring.coreos.com/v1/ServiceMonitor': [
    ServiceMonitor,
    '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
  ],
} as const;

function kindOf({ apiVersion, kind }: Manifest): (typeof kinds)[keyof typeof kinds] {
  const found = Object.entries(kinds).find(([name]) => name === `${apiVersion}/${kind}`)?.[1];
  if (found === undefined)
    throw new Error(`Expected a kind that is in use but received ${apiVersion}/${kind}`);
  return found;
}

/**
 * What is wrong with each of some manifests: with the values by the JSON schemas of Kubernetes, KEDA and the Prometheus
 * operator, and with the names of fields by the types that are made from the same schemas, which let unknown fields pass.
 */
export function faultsOf(manifests: readonly Manifest[]): string[][] {
  const ofNames = faultsOfNames(manifests);
  return manifests.map((manifest, i) => [...faultsOfValues(manifest), ...(ofNames.get(i) ?? [])]);
}

function faultsOfValues(manifest: Manifest): string[] {
  const [Model] = kindOf(manifest);
  try {
    new (Model as unknown as new (data: Manifest) => { validate(): void })(manifest).validate();
    return [];
  } catch (error) {
    return [String(error)];
  }
}

/** Each manifest becomes a literal of its type, on a line of its own: TypeScript lets no unknown field pass in one. */
function faultsOfNames(manifests: readonly Manifest[]): Map<number, string[]> {
  const lines = manifests.map((manifest, i) => {
    const [, module] = kindOf(manifest);
    return `export const m${i}: import('${module}').I${manifest.kind} = ${JSON.stringify(manifest)};`;
  });
  const file = join(root, 'test/deploy/manifests-as-literals.ts');
  const options: ts.CompilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: [], lib: ['lib.es2023.d.ts'] },
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
  };
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  const getSourceFile = host.getSourceFile.bind(host);
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, version) =>
    name === file ? ts.createSourceFile(name, lines.join('\n'), version) : getSourceFile(name, version);
  const program = ts.createProgram([file], options, host);
  const source = program.getSourceFile(file);
  const faults = new Map<number, string[]>();
  for (const { messageText, start = 0 } of ts.getPreEmitDiagnostics(program, source)) {
    const line = source?.getLineAndCharacterOfPosition(start).line ?? 0;
    faults.set(line, [...(faults.get(line) ?? []), ts.flattenDiagnosticMessageText(messageText, ' ')]);
  }
  return faults;
}
