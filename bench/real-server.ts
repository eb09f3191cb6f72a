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

export interface RealServerOptions {
  /** Beside this process's own. */
  readonly env?: NodeJS.ProcessEnv;
  /** A program that runs the command it is given at its end; none unless told. */
  readonly through?: readonly string[];
  /** A checkout that was built; this one unless told. */
  readonly root?: string;
}

/** Starts `nearvote serve` as a child on any free port, as `npm start` does, and waits until it is ready. */
export async function startRealServer(
  flags: readonly string[] = [],
  options: RealServerOptions = {},
): Promise<RealServer> {
  const { env, through = [], root = fileURLToPath(new URL('..', import.meta.url)) } = options;
  const started = performance.now();
  const serve = ['dist/cli/main.js', 'serve', '--port', '0', '--log-level', 'warn', ...flags];
  const [program = '', ...args] = [...through, process.execPath, ...serve];
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    // Not an index of whoever measures here.
    env: { NEARVOTE_INDEX: 'index/cifar10', ...process.env, ...env },
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for await (const line of createInterface({ input: child.stdout })) {
    // The index may be named by a URL too.
    const url = /ready on (http:\/\/\S+)/.exec(line)?.[1];
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
