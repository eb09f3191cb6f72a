import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RealServer } from '../real-server.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const environment = fileURLToPath(new URL('../../.cache/peer', import.meta.url));

/** Python where the peer's requirements are installed; a text says why there is none. */
export type PeerPython = { readonly python: string } | { readonly missing: string };

/** Makes the virtual environment of the peer, or takes the one that is there with the same requirements. */
export async function preparePython(): Promise<PeerPython> {
  const python = join(environment, 'bin/python');
  const requirements = join(here, 'requirements.txt');
  const wanted = await readFile(requirements, 'utf8');
  const stamp = join(environment, 'installed.txt');
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === wanted) return { python };
  console.error(`installing bench/peer/requirements.txt in ${environment}`);
  const steps: [string, ...string[]][] = [
    ['python3', '-m', 'venv', environment],
    [python, '-m', 'pip', 'install', '--quiet', '--requirement', requirements],
  ];
  for (const [command, ...args] of steps) {
    const done = spawnSync(command, args, { encoding: 'utf8' });
    if (done.status === 0) continue;
    const said = done.error?.message ?? done.stderr.trim().split('\n').at(-1) ?? '';
    return { missing: `${command} ${args.join(' ')} failed: ${said}` };
  }
  await writeFile(stamp, wanted);
  return { python };
}

export interface PeerServerOptions {
  readonly python: string;
  readonly processes: number;
  /** Of each process's ONNX Runtime. */
  readonly threads: number;
  /** The .onnx file. */
  readonly encoder: string;
  /** The version's folder. */
  readonly indexDir: string;
}

/** Starts bench/peer/server.py as its user would in production, and waits until every process of it serves. */
export async function startPeerServer(options: PeerServerOptions): Promise<RealServer> {
  const { python, processes, threads, encoder, indexDir } = options;
  const started = performance.now();
  const port = await freePort();
  const flags = [
    '--loop',
    'uvloop',
    '--http',
    'httptools',
    '--no-access-log',
    '--workers',
    String(processes),
  ];
  const child = spawn(
    python,
    [
      '-m',
      'uvicorn',
      'server:app',
      '--app-dir',
      here,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      ...flags,
    ],
    {
      env: {
        ...withoutOpenBlas(process.env),
        PEER_THREADS: String(threads),
        PEER_ENCODER: encoder,
        PEER_INDEX: indexDir,
        ORT_DISABLE_TELEMETRY: '1',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const said: string[] = [];
  let serving = 0;
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    if (!line.includes('Application startup complete') || ++serving < processes) continue;
    child.stderr.resume();
    return {
      url: `http://127.0.0.1:${port}/`,
      pid: child.pid ?? 0,
      readyMs: performance.now() - started,
      stop: () => {
        child.kill('SIGTERM');
        return ended;
      },
    };
  }
  throw new Error(`the peer ended before it was ready: ${said.slice(-5).join('\n')}`);
}

/** Threads of a linear algebra library that a machine sets for other work are no part of such a server. */
function withoutOpenBlas(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OPENBLAS_')));
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
