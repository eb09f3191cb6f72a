import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Gauge, type Registry } from 'prom-client';

/** Where a container sees its own control group, as Linux has them since version 2. */
const ownGroup = '/sys/fs/cgroup';

/**
 * What the whole server takes of the memory that it may have: most of it is in its child processes, of which the
 * figures of Node's own process know nothing. Read at each scrape; 0 where the system does not say.
 */
export function addMemoryMetrics(registry: Registry, group = ownGroup): void {
  const registers = [registry];
  new Gauge({
    name: 'nearvote_memory_working_set_bytes',
    help: 'Memory of the container, its child processes included, that the kernel cannot take back; 0 outside of one',
    registers,
    collect() {
      this.set(limitOf(group) === 0 ? 0 : workingSetOf(group));
    },
  });
  new Gauge({
    name: 'nearvote_memory_limit_bytes',
    help: 'Memory that the container may have before it is killed; 0 where there is no limit',
    registers,
    collect() {
      this.set(limitOf(group));
    },
  });
}

function limitOf(group: string): number {
  // `max` where there is none.
  return numberIn(textOf(group, 'memory.max'));
}

/** As Kubernetes counts it: files that were read once and are still cached are given back when memory runs short. */
function workingSetOf(group: string): number {
  const used = numberIn(textOf(group, 'memory.current'));
  const cached = numberIn(/^inactive_file (\d+)$/m.exec(textOf(group, 'memory.stat'))?.[1] ?? '');
  return Math.max(0, used - cached);
}

function numberIn(text: string): number {
  return /^\d+\s*$/.test(text) ? Number(text) : 0;
}

function textOf(group: string, file: string): string {
  try {
    return readFileSync(join(group, file), 'utf8');
  } catch {
    return '';
  }
}
