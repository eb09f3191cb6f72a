import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { drawColour } from '../server/colour-classifier.js';
import { writeSmallIndex } from './small-index.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const shippedModels = fileURLToPath(new URL('../../models', import.meta.url));

/** A folder with an index of two versions, `v1` published, and the models it was made with. */
export interface Workplace {
  readonly folder: string;
  readonly index: string;
  readonly models: string;
  readonly red: Buffer;
  publish(version: string): Promise<void>;
  remove(): Promise<void>;
}

export async function createWorkplace(): Promise<Workplace> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-served-'));
  const models = join(folder, 'models');
  const index = join(folder, 'colours');
  await cp(join(shippedModels, 'cifar10-compact'), join(models, 'cifar10-compact'), { recursive: true });
  const red = await drawColour('red', 32);
  const images = [
    { label: 'red', bytes: red },
    { label: 'blue', bytes: await drawColour('blue', 32) },
  ];
  const encoderDir = join(models, 'cifar10-compact');
  await writeSmallIndex({ root: join(folder, 'other'), encoderDir, images });
  await cp(join(folder, 'other', 'v1'), join(index, 'v2'), { recursive: true });
  const more = [...images, { label: 'green', bytes: await drawColour('green', 32) }];
  await writeSmallIndex({ root: index, encoderDir, images: more });
  return {
    folder,
    index,
    models,
    red,
    publish: (version) => writeFile(join(index, 'current'), `${version}\n`),
    remove: () => rm(folder, { recursive: true }),
  };
}

/** A real `nearvote serve`, as `npm test` has built it. */
export interface Served {
  readonly child: ChildProcess;
  /** The line that it printed when it was ready. */
  readonly line: string;
  readonly url: string;
  readonly stderr: () => string;
  /** Exit code and signal. */
  readonly exited: Promise<unknown[]>;
  classify(): Promise<Response>;
  /** One request of two images: a lone one may be encoded by the server itself, two are its workers'. */
  classifyTwo(): Promise<Response>;
  ready(): Promise<boolean>;
  /** The value of one series. */
  metric(series: string): Promise<number>;
}

export function startServed(
  workplace: Workplace,
  children: ChildProcess[],
  ...flags: string[]
): Promise<Served> {
  return spawnServed(workplace, children, { flags });
}

export interface SpawnServedOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs the command it is given at its end; none unless told. */
  readonly through?: readonly string[];
  /** Of stderr; collected unless told. */
  readonly stderr?: 'pipe' | 'unread' | number;
  /** In a process group of its own. */
  readonly detached?: boolean;
}

/** A server started as told, when it is ready. */
export async function spawnServed(
  { index, models, red }: Workplace,
  children: ChildProcess[],
  { flags = [], env, through = [], stderr: errors = 'pipe', detached = false }: SpawnServedOptions,
): Promise<Served> {
  const fixed = ['--index', index, '--models', models, '--port', '0', '--workers', '1', '--max-batch', '4'];
  const [program = '', ...args] = [
    ...(through.length > 0 ? through : [process.execPath, main, 'serve']),
    ...fixed,
    ...['--log-level', 'warn'],
    ...flags,
  ];
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', errors === 'unread' ? 'pipe' : errors],
    env: { ...process.env, ...env },
    detached,
  });
  children.push(child);
  const exited = once(child, 'exit');
  let stderr = '';
  if (errors === 'pipe') child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
  const line = await Promise.race([readyLine(child), exited.then(() => Promise.reject(new Error(stderr)))]);
  const url = /http:\S+/.exec(line)?.[0] ?? '';
  return {
    child,
    line,
    url,
    stderr: () => stderr,
    exited,
    classify: () =>
      fetch(`${url}/classify?k=1`, { method: 'POST', headers: { 'content-type': 'image/png' }, body: red }),
    classifyTwo: () => {
      const image = red.toString('base64');
      const headers = { 'content-type': 'application/json' };
      return fetch(`${url}/classify?k=1`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ images: [image, image] }),
      });
    },
    ready: async () => (await fetch(`${url}/readyz`)).status === 200,
    metric: async (series) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      const found = text.split('\n').find((each) => each.startsWith(`${series} `));
      return found === undefined ? NaN : Number(found.split(' ').at(-1));
    },
  };
}

/** The line that a server prints when it is ready; there is one before it. */
export function readyLine({ stdout }: Pick<ChildProcess, 'stdout'>): Promise<string> {
  if (stdout === null) throw new Error('Expected to read stdout');
  // npm says first what it runs.
  return new Promise((resolve) => {
    createInterface(stdout).on('line', (line) => {
      if (line.includes('is ready')) resolve(line);
    });
  });
}

/** The ids of its processes, oldest first: the workers, then the owner of the index. */
export function childrenOf(server: Served | number): number[] {
  const { pid = 0 } = typeof server === 'number' ? { pid: server } : server.child;
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

/** A process that has ended but whose end nobody has asked for yet counts as ended. */
export function isAlive(pid: number): boolean {
  const file = `/proc/${pid}/stat`;
  return existsSync(file) && !readFileSync(file, 'utf8').includes(') Z ');
}
