import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A script of this folder in a process of its own, asked one thing at a time. */
export interface Child {
  readonly pid: number;
  /** Rejects when the child says so or ends. */
  ask(request: object): Promise<unknown>;
  stop(): void;
}

type Reply = { readonly ok: unknown } | { readonly failed: string };

/** Starts `bench/<name>`, which calls `answerParent`. */
export function startChild(name: string): Child {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const child = fork(file, { serialization: 'advanced' });
  let waiting: { resolve(value: unknown): void; reject(error: Error): void } | undefined;
  child.on('message', (reply: Reply) => {
    const asked = waiting;
    waiting = undefined;
    if ('ok' in reply) asked?.resolve(reply.ok);
    else asked?.reject(new Error(`${name}: ${reply.failed}`));
  });
  child.once('exit', (code, signal) => {
    waiting?.reject(new Error(`${name} ended with ${String(code ?? signal)}`));
  });
  return {
    pid: child.pid ?? 0,
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (waiting !== undefined) return reject(new Error(`${name} is still busy`));
        waiting = { resolve, reject };
        child.send(request);
      }),
    // SIGKILL: ending with a session of ONNX Runtime open aborts on some platforms.
    stop: () => void child.kill('SIGKILL'),
  };
}

/** The child's side: answers each request with what `handle` makes of it. */
export function answerParent(handle: (request: unknown) => Promise<unknown>): void {
  const reply = (message: Reply): void => void process.send?.(message);
  process.on('message', (request) => {
    handle(request).then(
      (ok) => reply({ ok }),
      (error: unknown) => reply({ failed: error instanceof Error ? (error.stack ?? '') : String(error) }),
    );
  });
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}
