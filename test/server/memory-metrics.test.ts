import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import { addMemoryMetrics } from '../../src/server/memory-metrics.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** What is scraped where the control group of the container has these files. */
async function scraped(files: Readonly<Record<string, string>>): Promise<Record<string, number>> {
  const group = await mkdtemp(join(tmpdir(), 'nearvote-cgroup-'));
  folders.push(group);
  for (const [name, text] of Object.entries(files)) await writeFile(join(group, name), text);
  const registry = new Registry();
  addMemoryMetrics(registry, group);
  const found = (await registry.getMetricsAsJSON()).map(({ name, values }) => [name, values[0]?.value]);
  return Object.fromEntries(found) as Record<string, number>;
}

it('the memory of a container is what its group holds, without files that are only cached', async () => {
  const found = await scraped({
    'memory.max': '1073741824\n',
    'memory.current': '900000000\n',
    'memory.stat': 'anon 700000000\nfile 200000000\nactive_file 50000000\ninactive_file 150000000\n',
  });
  expect(found).toEqual({
    nearvote_memory_working_set_bytes: 750_000_000,
    nearvote_memory_limit_bytes: 1_073_741_824,
  });
});

it('a group without a limit, and a system that has no such groups, are 0 and not a share of something else', async () => {
  const none = { nearvote_memory_working_set_bytes: 0, nearvote_memory_limit_bytes: 0 };
  expect(await scraped({ 'memory.max': 'max\n', 'memory.current': '900000000\n' })).toEqual(none);
  expect(await scraped({})).toEqual(none);
});
