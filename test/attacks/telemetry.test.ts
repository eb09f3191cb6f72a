import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, drawFolders, root } from '../cli/nearvote.js';
import { readyLine } from '../cli/served.js';

// ONNX Runtime keeps a database of events in the home folder and uploads it, unless a variable is set before it loads.

let folder: string;
let home: string;

/** What a shell of a new user would give, and nothing that this process has set. */
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], HOME: home });

const config = `name: colours
licence: CC0-1.0
data: { train: data, validation: data }
model: { architecture: compact, widths: [8, 8], inputSize: 16, fit: fill }
batch: 8
epochs: 1
optimizer: { kind: adamw, learningRate: 0.003 }
augment: [{ kind: horizontalFlip }]
validation: { every: 1, k: 5 }
threads: 1
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-telemetry-'));
  home = join(folder, 'home');
  await mkdir(home);
  await drawFolders(join(folder, 'data'), { count: 8, firstSeed: 0 });
  await cp(join(root, 'models', 'cifar10-compact'), join(folder, 'models', 'cifar10-compact'), {
    recursive: true,
  });
  await writeFile(join(folder, 'config.yaml'), config);
});
afterAll(() => rm(folder, { recursive: true }));

const canTrace =
  process.platform === 'linux' && spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;

/**
 * Runs node as a new user would, and returns every call of it and its children that connects or sends; none without
 * strace. `use` is given the line that says it is ready, and then the process is stopped.
 */
async function run(args: readonly string[], use?: (line: string) => Promise<void>): Promise<string[]> {
  const file = join(folder, 'calls');
  // strace as the grandchild: signals and the exit code are the command's own.
  const strace = ['strace', '-D', '-f', '-qq', '-e', 'trace=connect,sendto,sendmsg,sendmmsg', '-o', file];
  const [command = '', ...rest] = [...(canTrace ? strace : []), process.execPath, ...args];
  const child = spawn(command, rest, { cwd: folder, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const closed = once(child, 'close');
  if (use === undefined) child.stdout.resume();
  else {
    const line = await Promise.race([readyLine(child), closed.then(() => Promise.reject(new Error(stderr)))]);
    try {
      await use(line);
    } finally {
      child.kill('SIGTERM');
    }
  }
  const [code] = (await closed) as [number | null];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}: ${stderr}`);
  return canTrace ? (await readFile(file, 'utf8')).split('\n') : [];
}

async function classifyOver(line: string): Promise<void> {
  const answer = await fetch(`${/http:\S+/.exec(line)?.[0] ?? ''}/classify`, {
    method: 'POST',
    headers: { 'content-type': 'image/jpeg' },
    body: await readFile(join(folder, 'data/red/0.JPG')),
  });
  expect(answer.status).toBe(200);
}

/** Calls that reach past this machine, or ask a name server, which may be on it. */
function outward(calls: readonly string[]): string[] {
  return calls.filter(
    (call) =>
      /sa_family=AF_INET6?,/.test(call) &&
      (!/inet_addr\("127\.|inet_pton\(AF_INET6, "::1"/.test(call) || /port=htons\(53\)/.test(call)),
  );
}

/** Whatever opens a session of ONNX Runtime: in workers, in the command itself, and in a server that stays up. */
const jobs = [
  ['build', '--data', 'data', '--encoder', 'models/cifar10-compact', '--out', 'index'],
  ['classify', 'data/red/0.JPG', '--index', 'index'],
  ['train', 'config.yaml'],
  ['serve', '--index', 'index', '--port', '0', '--workers', '1'],
];
const nowhere = canTrace
  ? 'reaches nothing but this machine'
  : '(without strace: where it connects is left out)';

describe('nearvote', () => {
  it.each(jobs)(
    `%s leaves an empty home folder empty and ${nowhere}`,
    async (...job) => {
      const calls = await run([cli, ...job], job[0] === 'serve' ? classifyOver : undefined);
      expect(await readdir(home, { recursive: true })).toEqual([]);
      expect(outward(calls)).toEqual([]);
    },
    120_000,
  );

  it.skipIf(!canTrace)('would be seen asking for a name', async () => {
    const calls = await run(['-e', "require('dns').lookup('nearvote.invalid', () => {})"]);
    expect(outward(calls)).not.toEqual([]);
  });
});
