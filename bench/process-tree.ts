import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessUse {
  readonly pid: number;
  /** User and system time since its start, in ms, in steps of 10: proc(5). */
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** A process and then its children, theirs and so on, as /proc shows them; a process that ended meanwhile is left out. */
export function processTree(pid: number): ProcessUse[] {
  const own = processUse(pid);
  return own === undefined ? [] : [own, ...childrenOf(pid).flatMap(processTree)];
}

function processUse(pid: number): ProcessUse | undefined {
  const stat = readProc(`${pid}/stat`);
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readProc(`${pid}/status`))?.[1];
  if (stat === '' || resident === undefined) return undefined;
  // The name before it may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
    rssBytes: Number(resident) * 1024,
  };
}

function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads
    .flatMap((thread) => readProc(`${pid}/task/${thread}/children`).split(' '))
    .filter((child) => child.trim() !== '')
    .map(Number);
}

function readProc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'utf8');
  } catch {
    return '';
  }
}
