import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { readyLine } from '../cli/served.js';

// The compiled program, as `npm test` has built it.
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const models = fileURLToPath(new URL('../../models', import.meta.url));

/** Small enough for cases to go past them. */
const limits = ['--max-images', '6', '--max-image-bytes', '200000', '--max-body-bytes', '1000000'];

export interface ServedChild {
  readonly port: number;
  readonly child: ChildProcess;
  /** Every line logged as an error or worse, and what was written beside the log. */
  readonly stderr: () => string;
  /** A series of `/metrics` by its whole name. */
  metric(name: string): Promise<number>;
  stop(): Promise<void>;
}

/** `nearvote serve` in a process of its own, so that a crash is seen as one. */
export async function serveChild(index: string): Promise<ServedChild> {
  const child = spawn(
    process.execPath,
    [
      ...[main, 'serve', '--index', index, '--models', models, '--port', '0', '--workers', '1'],
      ...['--log-level', 'error', ...limits],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr = (stderr + text.toString()).slice(-20_000);
  });
  const exited = once(child, 'exit');
  const line = await Promise.race([
    readyLine(child),
    exited.then(() => Promise.reject(new Error(`the server did not start: ${stderr}`))),
  ]);
  const port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
  return {
    port,
    child,
    stderr: () => stderr,
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const found = text.split('\n').find((one) => one.startsWith(`${name} `));
      return Number(found?.slice(name.length));
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await exited;
    },
  };
}
