import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { processTree } from './process-tree.js';

export interface ProcessMemory {
  readonly pid: number;
  /** The file that Node runs. */
  readonly file: string;
  readonly rssBytes: number;
  /** The most that it has been. */
  readonly peakRssBytes: number;
  /** With its share of what it has in common with others; undefined where the kernel does not tell. */
  readonly pssBytes: number | undefined;
}

/** What a process and all that came of it hold, as /proc shows it. */
export function memoryOfTree(pid: number): ProcessMemory[] {
  return processTree(pid).flatMap(({ pid, rssBytes }) => {
    const status = readProc(pid, 'status');
    if (status === '') return [];
    const kilobytes = (text: string, name: string): number =>
      1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? NaN);
    const rollup = readProc(pid, 'smaps_rollup');
    const script = readProc(pid, 'cmdline')
      .split('\0')
      .find((word) => /\.[jt]s$/.test(word));
    return {
      pid,
      file: basename(script ?? '?'),
      rssBytes,
      peakRssBytes: kilobytes(status, 'VmHWM'),
      pssBytes: rollup === '' ? undefined : kilobytes(rollup, 'Pss'),
    };
  });
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
