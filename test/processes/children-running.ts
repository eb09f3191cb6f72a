import { readdirSync, readFileSync } from 'node:fs';

/** The pids of this process's children whose command line holds `words`; read from /proc, so on Linux only. */
export function childrenRunning(words: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const isOurs = Number(parent) === process.pid && state !== 'Z';
        return isOurs && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(words);
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
}
