import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface RealServer {
  readonly url: string;
  readonly pid: number;
  /** From the start of the process to the ready line, in ms. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** Starts `nearvote serve` as a child on any free port, as `npm start` does, and waits until it is ready. */
export async function startRealServer(flags: readonly string[] = []): Promise<RealServer> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ['dist/cli/main.js', 'serve', '--port', '0', '--log-level', 'warn', ...flags],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (url === undefined) continue;
    // What it says later is not to fill the pipe.
    child.stdout.resume();
    return {
      url,
      pid: child.pid ?? 0,
      readyMs: performance.now() - started,
      stop: () => {
        child.kill('SIGTERM');
        return ended;
      },
    };
  }
  throw new Error('the server ended before it was ready');
}
