import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { serveOptions } from '../../src/cli/serve-options.js';
import { root } from '../cli/nearvote.js';

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const serviceSchema = z.looseObject({
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  command: z.array(z.string()).default([]),
});
const compose = z
  .object({ services: z.record(z.string(), serviceSchema), volumes: z.record(z.string(), z.null()) })
  .loose()
  .parse(parse(read('deploy/compose.yaml'), { merge: true }));
const service = (name: string): z.infer<typeof serviceSchema> => serviceSchema.parse(compose.services[name]);

/** The file of this repository that a container sees at a path. */
function mountedAt(name: string, path: string): string {
  const mounts = service(name)
    .volumes.map((volume) => volume.split(':'))
    .filter(([from = '', to = '']) => from.startsWith('.') && (path === to || path.startsWith(`${to}/`)));
  const [[from = '', to = ''] = []] = mounts;
  return resolve(root, 'deploy', from + path.slice(to.length));
}

describe('deploy/compose.yaml', () => {
  it('opens ports on this machine only, and mounts files and volumes that are there', () => {
    for (const { ports, volumes } of Object.values(compose.services)) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
      for (const volume of volumes) {
        const [from = ''] = volume.split(':');
        if (from.startsWith('.')) expect(existsSync(join(root, 'deploy', from)), from).toBe(true);
        else expect(compose.volumes).toHaveProperty(from);
      }
    }
  });

  it('sets variables that the server reads, to values that it takes, and has no password of its own', () => {
    const options = new Map(serveOptions().map((option) => [option.envVar, option]));
    for (const [name, value] of Object.entries(service('nearvote').environment)) {
      if (/KEY|PASSWORD/.test(name)) expect(value).toMatch(/^\$\{\w+:\?/);
      else expect(() => options.get(name)?.parseArg?.(String(value), undefined), name).not.toThrow();
      if (!/KEY|PASSWORD/.test(name)) expect([...options.keys()]).toContain(name);
    }
  });

  it('serves from PostgreSQL what it loads there, and gives a server longer to stop than its grace', () => {
    const served = String(service('nearvote').environment.NEARVOTE_INDEX).replace(/^photos=/, '');
    expect(service('load').command).toContain(`--to=${served}`);
    expect(new URL(served).hostname in compose.services).toBe(true);
    const grace = serveOptions().find(({ envVar }) => envVar === 'NEARVOTE_GRACE')?.defaultValue as number;
    expect(parseInt(String(service('nearvote').stop_grace_period)) * 1000).toBeGreaterThan(grace);
  });

  it('has Prometheus scrape the port that the image exposes, with the alerts that its configuration names', () => {
    const file = mountedAt('prometheus', '/etc/prometheus/prometheus.yml');
    const config = parse(readFileSync(file, 'utf8')) as {
      rule_files: string[];
      scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
    };
    const port = /^EXPOSE (\d+)$/m.exec(read('Dockerfile'))?.[1];
    expect(config.scrape_configs).toMatchObject([
      { job_name: 'nearvote', static_configs: [{ targets: [`nearvote:${String(port)}`] }] },
    ]);
    for (const rules of config.rule_files)
      expect(mountedAt('prometheus', join('/etc/prometheus', rules))).toBe(join(dirname(file), rules));
  });

  it('has Grafana show the dashboard, from the Prometheus that runs beside it', () => {
    const provisioned = (file: string): unknown =>
      parse(readFileSync(mountedAt('grafana', `/etc/grafana/provisioning/${file}`), 'utf8'));
    const { providers } = provisioned('dashboards/nearvote.yaml') as {
      providers: { options: { path: string } }[];
    };
    const [provider] = providers;
    expect(mountedAt('grafana', `${String(provider?.options.path)}/nearvote.json`)).toBe(
      join(root, 'deploy/grafana/nearvote.json'),
    );
    const { datasources } = provisioned('datasources/prometheus.yaml') as {
      datasources: { type: string; url: string }[];
    };
    const [source] = datasources;
    expect(source?.type).toBe('prometheus');
    expect(new URL(String(source?.url)).hostname in compose.services).toBe(true);
  });
});
