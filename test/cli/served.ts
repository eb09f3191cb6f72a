import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import { afterAll } from 'vitest';

import { drawColour } from '../server/colour-classifier.js';
import { cli, killAfterTest, root } from './nearvote.js';
import { writeSmallIndex } from './small-index.js';

/** A folder with an index of two versions, `v1` published, and the models it was made with. */
export interface Workplace {
  readonly folder: string;
  readonly index: string;
  readonly models: string;
  readonly red: Buffer;
  publish(version: string): Promise<void>;
}

/** For all tests of a file, which calls it outside of them; it is removed after them. */
export async function createWorkplace(): Promise<Workplace> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-served-'));
  afterAll(() => rm(folder, { recursive: true }));
  const models = join(folder, 'models');
  const index = join(folder, 'colours');
  const encoderDir = join(models, 'cifar10-compact');
  await cp(join(root, 'models/cifar10-compact'), encoderDir, { recursive: true });
  const red = await drawColour('red', 32);
  const images = [
    { label: 'red', bytes: red },
    { label: 'blue', bytes: await drawColour('blue', 32) },
  ];
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
  };
}

/** A real `nearvote serve`, as `npm test` has built it. */
export interface Served {
  readonly child: ChildProcess;
  /** The line that it printed when it was ready. */
  readonly line: string;
  /** What it printed until then, that line the last. */
  readonly lines: readonly string[];
  readonly url: string;
  readonly stderr: () => string;
  /** Exit code and signal. */
  readonly exited: Promise<unknown[]>;
  classify(): Promise<Response>;
  /** One request of two images: a lone one may be encoded by the server itself, two are its workers'. */
  classifyTwo(): Promise<Response>;
  /** A classification whose body has begun; calling what it resolves to sends the rest, and gives the answer. */
  beginUpload(): Promise<() => Promise<Response>>;
  ready(): Promise<boolean>;
  /** The value of one series. */
  metric(series: string): Promise<number>;
}

/** How long a test waits at the most for what a server and its processes do where much else runs beside them. */
export const soon = { timeout: 60_000, interval: 20 };

/** What a server is started with. */
type Pair = Pick<Workplace, 'index' | 'models' | 'red'>;

export function startServed(pair: Pair, ...flags: string[]): Promise<Served> {
  return spawnServed(pair, { flags });
}

export interface SpawnServedOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs; here unless told. */
  readonly cwd?: string;
  /** What it is told before the flags: index, models, port and one worker unless told. */
  readonly fixed?: readonly string[];
  /** A program that runs the command it is given at its end; none unless told. */
  readonly through?: readonly string[];
  /** Of stderr; collected unless told. */
  readonly stderr?: 'pipe' | 'unread' | number;
  /** In a process group of its own. */
  readonly detached?: boolean;
}

/** A server started as told, when it is ready; it ends with the test at the latest. */
export async function spawnServed(
  { index, models, red }: Pair,
  options: SpawnServedOptions = {},
): Promise<Served> {
  const { flags = [], env, cwd, through = [], stderr: errors = 'pipe', detached = false } = options;
  const usual = ['--index', index, '--models', models, '--port', '0', '--workers', '1', '--max-batch', '4'];
  const [program = '', ...args] = [
    ...(through.length > 0 ? through : [process.execPath, cli, 'serve']),
    ...(options.fixed ?? [...usual, '--log-level', 'warn']),
    ...flags,
  ];
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', errors === 'unread' ? 'pipe' : errors],
    env: { ...process.env, ...env },
    cwd,
    detached,
  });
  killAfterTest(child);
  const exited = once(child, 'exit');
  let stderr = '';
  if (errors === 'pipe') child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const lines = await Promise.race([
    linesUntilReady(child),
    exited.then(() => Promise.reject(new Error(stderr))),
  ]);
  const line = lines.at(-1) ?? '';
  const url = /http:\S+/.exec(line)?.[0] ?? '';
  return {
    child,
    line,
    lines,
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
    beginUpload: () => beginUpload(url, red),
    ready: async () => (await fetch(`${url}/readyz`)).status === 200,
    metric: async (series) => {
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const found = metrics.split('\n').find((each) => each.startsWith(`${series} `));
      return found === undefined ? NaN : Number(found.split(' ').at(-1));
    },
  };
}

async function beginUpload(url: string, image: Buffer): Promise<() => Promise<Response>> {
  const headers = { 'content-type': 'image/png', 'content-length': image.length };
  const upload = request(`${url}/classify?k=1`, { method: 'POST', headers });
  await new Promise((resolve) => upload.write(image.subarray(0, 10), resolve));
  return async () => {
    upload.end(image.subarray(10));
    const [answer] = (await once(upload, 'response')) as [IncomingMessage];
    return new Response(await text(answer), { status: answer.statusCode ?? 0 });
  };
}

/** The line that a server prints when it is ready; there is one before it. */
export async function readyLine(child: Pick<ChildProcess, 'stdout'>): Promise<string> {
  return (await linesUntilReady(child)).at(-1) ?? '';
}

function linesUntilReady({ stdout }: Pick<ChildProcess, 'stdout'>): Promise<string[]> {
  if (stdout === null) throw new Error('Expected to read stdout');
  const lines: string[] = [];
  return new Promise((resolve) => {
    createInterface(stdout).on('line', (line) => {
      lines.push(line);
      if (line.includes('is ready')) resolve(lines);
    });
  });
}

/** The ids of its processes, oldest first: the workers, then the owner of the index. */
export function childrenOf(server: Served | number): number[] {
  const { pid = 0 } = typeof server === 'number' ? { pid: server } : server.child;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}

/** A process that has ended but whose end nobody has asked for yet counts as ended. */
export function isAlive(pid: number): boolean {
  const file = `/proc/${pid}/stat`;
  return existsSync(file) && !readFileSync(file, 'utf8').includes(') Z ');
}
