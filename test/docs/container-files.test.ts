import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { serveOptions } from '../../src/cli/serve-options.js';

const read = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8');

describe('the container files', () => {
  it('publish the server on this machine only, and give it longer to stop than its own grace', () => {
    const compose = parse(read('compose.yaml')) as {
      services: { nearvote: { ports: string[]; stop_grace_period: string } };
    };
    expect(compose.services.nearvote.ports).toEqual(['127.0.0.1:8080:8080']);
    expect(parseInt(compose.services.nearvote.stop_grace_period)).toBeGreaterThan(10);
  });

  it('let the server lease the version that it reads, and write nothing else', () => {
    const compose = parse(read('compose.yaml')) as { services: { nearvote: { volumes: string[] } } };
    const written = compose.services.nearvote.volumes.filter((volume) => !volume.endsWith(':ro'));
    const leases = 'index/cifar10/.leases';
    expect(written).toEqual([`./${leases}:/app/${leases}`]);
    // A folder that Docker has to make for a mount is root's: the server could not write it.
    expect(existsSync(fileURLToPath(new URL(`../../${leases}`, import.meta.url)))).toBe(true);
  });

  it('set only variables that the server reads, to values that it takes', () => {
    const { environment } = (
      parse(read('compose.yaml')) as { services: { nearvote: { environment: Record<string, number> } } }
    ).services.nearvote;
    const options = new Map(serveOptions().map((option) => [option.envVar, option]));
    expect(Object.keys(environment)).toContain('NEARVOTE_MAX_INFLIGHT_BYTES');
    for (const [name, value] of Object.entries(environment)) {
      expect(options.get(name)?.parseArg?.(String(value), undefined), name).toBe(value);
    }
  });

  it('run as a user that is not root, with node as process 1', () => {
    const dockerfile = read('Dockerfile');
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/^CMD \["node",/m);
    expect(dockerfile).toMatch(/^HEALTHCHECK /m);
  });
});
