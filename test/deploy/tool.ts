import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../cli/nearvote.js';

/** Whether a program that only some machines have answers; `.ci/run` brings those that it can. */
export function has(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** What a program prints, run in deploy/. @throws Error with what it printed instead, where it fails */
export function run(program: string, args: readonly string[], input = ''): string {
  return execFileSync(program, args, { cwd: join(root, 'deploy'), input, encoding: 'utf8', stdio: 'pipe' });
}
