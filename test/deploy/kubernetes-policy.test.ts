import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseDuration } from '../../src/domain/duration.js';
import { serveOptions } from '../../src/cli/serve-options.js';
import { routes } from '../../src/server/routes.js';
import { folders, variablesOf, written } from './manifests.js';

const probeSchema = z.object({
  httpGet: z.object({ path: z.string(), port: z.string() }),
  periodSeconds: z.number(),
  failureThreshold: z.number(),
});
const containerSchema = z.object({
  name: z.string(),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).optional(),
  securityContext: z.object({}).loose(),
  resources: z.object({
    requests: z.object({ cpu: z.string(), memory: z.string() }),
    limits: z.object({ memory: z.string() }),
  }),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
  startupProbe: probeSchema.optional(),
  readinessProbe: probeSchema.optional(),
  livenessProbe: probeSchema.optional(),
});
const podSchema = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()) }),
  spec: z.looseObject({
    terminationGracePeriodSeconds: z.number(),
    securityContext: z.looseObject({}),
    containers: z.array(containerSchema).min(1),
    volumes: z.array(z.looseObject({ name: z.string() })),
  }),
});
const workloadSchema = z.object({ spec: z.object({ template: podSchema }) });

const workloads = written
  .filter(({ manifest }) => 'template' in Object(manifest.spec))
  .map(({ file, manifest }) => ({
    file,
    kind: manifest.kind,
    pod: workloadSchema.parse(manifest).spec.template,
  }));
const servers = workloads.filter(({ kind }) => kind === 'Deployment');

describe('every pod', () => {
  it('is as restricted as a cluster can ask for: no root, no privilege, nothing to write but its volumes', () => {
    expect(workloads.map(({ kind }) => kind).sort()).toEqual(['Deployment', 'Job', 'Job']);
    for (const { file, pod } of workloads) {
      expect(pod.spec.securityContext, file).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      // No account of the cluster, no variables that look like options of nearvote.
      expect(pod.spec, file).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
      });
      expect(Object.keys(pod.spec).filter((key) => key.startsWith('host'))).toEqual([]);
      for (const { securityContext } of pod.spec.containers) {
        expect(securityContext, file).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
    }
  });

  it('asks for cores and memory, and has no more memory than it asked for', () => {
    for (const { file, pod } of workloads) {
      for (const { resources } of pod.spec.containers)
        expect(resources.limits.memory, file).toBe(resources.requests.memory);
    }
  });

  it('mounts volumes that it has, and may write to /tmp', () => {
    for (const { file, pod } of workloads) {
      const volumes = pod.spec.volumes.map(({ name }) => name);
      for (const { volumeMounts } of pod.spec.containers) {
        expect(volumeMounts.map(({ name }) => name).sort(), file).toEqual(volumes.sort());
        expect(volumeMounts, file).toContainEqual({ name: 'tmp', mountPath: '/tmp' });
      }
    }
  });
});

describe('a server', () => {
  const [{ pod }] = servers as [(typeof servers)[0]];
  const [container] = pod.spec.containers as [z.infer<typeof containerSchema>];
  const options = new Map(serveOptions().map((option) => [option.envVar, option]));
  const msOf = (variables: Record<string, string>, name: string): number =>
    parseDuration(variables[name] ?? '') ?? NaN;

  it('is asked by three probes on paths that it has, and none restarts it for what readiness says', () => {
    const { startupProbe, readinessProbe, livenessProbe, ports = [] } = container;
    expect(startupProbe?.httpGet.path).toBe(routes.ready.path);
    expect(readinessProbe?.httpGet.path).toBe(routes.ready.path);
    expect(livenessProbe?.httpGet.path).toBe(routes.health.path);
    for (const probe of [startupProbe, readinessProbe, livenessProbe])
      expect(ports.map(({ name }) => name)).toContain(probe?.httpGet.port);
  });

  it('has longer to stop than it takes, and takes requests until the balancers have seen its readiness', () => {
    const variables = variablesOf('base');
    const drainMs = msOf(variables, 'NEARVOTE_DRAIN');
    const graceMs = msOf(variables, 'NEARVOTE_GRACE');
    const requestMs = Number(options.get('NEARVOTE_REQUEST_TIMEOUT')?.defaultValue);
    const {
      readinessProbe: { periodSeconds, failureThreshold } = { periodSeconds: NaN, failureThreshold: NaN },
    } = container;
    expect(drainMs).toBeGreaterThanOrEqual(periodSeconds * failureThreshold * 1000);
    expect(graceMs).toBeGreaterThanOrEqual(drainMs + requestMs);
    expect(pod.spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(graceMs);
  });

  it('is given variables that the server reads, with values that it takes', () => {
    for (const name of folders) {
      for (const [variable, value] of Object.entries(variablesOf(name))) {
        if (variable.startsWith('OTEL_')) continue;
        const option = options.get(variable);
        expect(option, variable).toBeDefined();
        expect(() => option?.parseArg?.(value, undefined), variable).not.toThrow();
      }
    }
  });

  it('has as many workers as cores, on the port and with the keys that are mounted', () => {
    const variables = variablesOf('postgres');
    expect(variables.NEARVOTE_WORKERS).toBe(container.resources.requests.cpu);
    expect(container.ports?.map(({ containerPort }) => String(containerPort))).toEqual([
      variables.NEARVOTE_PORT,
    ]);
    const mounted = container.volumeMounts.map(({ mountPath }) => mountPath);
    for (const [name, value] of Object.entries(variables)) {
      if (!/_FILE$|_DIR$/.test(name)) continue;
      expect(
        mounted.some((path) => value.startsWith(path)),
        name,
      ).toBe(true);
    }
  });

  it('is what the Service, the budget, the policies and the ServiceMonitor choose by its labels', () => {
    const selectorSchema = z.object({
      spec: z.object({ podSelector: z.object({ matchLabels: z.record(z.string(), z.string()) }) }),
    });
    const policies = written.filter(({ manifest }) => manifest.kind === 'NetworkPolicy');
    expect(policies.length).toBeGreaterThan(1);
    for (const { file, manifest } of policies)
      expect(pod.metadata.labels, file).toMatchObject(
        selectorSchema.parse(manifest).spec.podSelector.matchLabels,
      );
    const spec = (kind: string): unknown =>
      written.find(({ manifest }) => manifest.kind === kind)?.manifest.spec;
    const { labels } = pod.metadata;
    expect(spec('Service')).toMatchObject({ selector: labels });
    expect(spec('PodDisruptionBudget')).toMatchObject({ selector: { matchLabels: labels } });
    expect(spec('ServiceMonitor')).toMatchObject({ selector: { matchLabels: labels } });
    expect(spec('ScaledObject')).toMatchObject({ scaleTargetRef: { name: 'nearvote' } });
  });
});
