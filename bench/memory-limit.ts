import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** A limit of the kernel on the memory of a process and its children, page cache included, as a container has it. */
export interface MemoryLimit {
  /** Runs the command behind it under the limit. */
  readonly through: readonly string[];
  /** The most that was held. */
  peakBytes(): number;
  /** Processes that the kernel ended because there was no more. */
  kills(): number;
  /** Waits until the last of them has ended. */
  remove(): Promise<void>;
}

/** A control group below this process's own: cgroups(7), version 1 or 2. @throws where none may be made */
export function limitMemory(bytes: number): MemoryLimit {
  const groups = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  const name = `nearvote-bench-${process.pid}`;
  const own = groups.map((line) => /^\d+:memory:(.*)$/.exec(line)?.[1]).find((path) => path !== undefined);
  const isFirst = own !== undefined && existsSync('/sys/fs/cgroup/memory');
  const dir = isFirst
    ? join('/sys/fs/cgroup/memory', own, name)
    : join('/sys/fs/cgroup', /^0::(.*)$/m.exec(groups.join('\n'))?.[1] ?? '', name);
  const files = isFirst
    ? {
        limit: 'memory.limit_in_bytes',
        peak: 'memory.max_usage_in_bytes',
        kills: 'memory.oom_control',
      }
    : { limit: 'memory.max', peak: 'memory.peak', kills: 'memory.events' };
  const read = (file: string): string => readFileSync(join(dir, file), 'utf8');
  mkdirSync(dir);
  try {
    writeFileSync(join(dir, files.limit), String(bytes));
  } catch (error) {
    rmdirSync(dir);
    throw error;
  }
  return {
    through: ['/bin/sh', '-c', 'echo $$ > "$0" && exec "$@"', join(dir, 'cgroup.procs')],
    peakBytes: () => Number(read(files.peak)),
    kills: () => Number(/^oom_kill (\d+)/m.exec(read(files.kills))?.[1] ?? NaN),
    remove: async () => {
      const procs = join(dir, 'cgroup.procs');
      for (let left = 100; left > 0 && readFileSync(procs, 'utf8') !== ''; left--) await setTimeout(100);
      rmdirSync(dir);
    },
  };
}
