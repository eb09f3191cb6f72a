import { vi } from 'vitest';
import { runProgram } from '../../src/cli/program.js';
import { root, type Ran } from './nearvote.js';

/**
 * Runs a command to its end as `nearvoteIn` does, but in this process, which has loaded it already: for what does not end a
 * process, limit one or look at one. One at a time, for the folder and what is printed are those of the whole process.
 */
export async function nearvoteHere(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const said = { stdout: '', stderr: '' };
  const written = (to: keyof typeof said) => (text: string | Uint8Array) => {
    said[to] += typeof text === 'string' ? text : Buffer.from(text).toString();
    return true;
  };
  const line = (to: keyof typeof said) => (text: string) => void (said[to] += `${text}\n`);
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(line('stdout')),
    vi.spyOn(console, 'error').mockImplementation(line('stderr')),
    vi.spyOn(process.stdout, 'write').mockImplementation(written('stdout')),
    vi.spyOn(process.stderr, 'write').mockImplementation(written('stderr')),
  ];
  const before = { cwd: process.cwd(), env: process.env, exitCode: process.exitCode };
  process.chdir(cwd);
  process.exitCode = undefined;
  process.env = { NEARVOTE_WORKERS: '1', ...before.env, ...env };
  try {
    const code = await runProgram(['node', 'nearvote', ...args]);
    return { code: exitCodeOf(process) || code, ...said };
  } finally {
    process.exitCode = before.exitCode;
    process.env = before.env;
    process.chdir(before.cwd);
    for (const spy of spies) spy.mockRestore();
  }
}

/** `nearvote` of nearvote.ts, in this process. */
export const nearvote = (...args: string[]): Promise<Ran> => nearvoteHere(root, args);

/** `nearvoteIn` of nearvote.ts, in this process. */
export const nearvoteIn = (cwd: string, ...args: string[]): Promise<Ran> => nearvoteHere(cwd, args);

/** What a command has set beside the status that it returns. */
const exitCodeOf = ({ exitCode }: Pick<NodeJS.Process, 'exitCode'>): number => Number(exitCode ?? 0);
