// Runs the Dockerfile's own steps in a temporary folder, for machines without a Docker engine:
// COPY and RUN as they stand (apt-get left out), then CMD as the user would get it, HEALTHCHECK, a request, SIGTERM.
//   node .ci/docker-steps.mjs [--installed]
// With --installed this checkout's node_modules, with hnswlib compiled, stand for `npm ci` and `npm rebuild`.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'nearvote-docker-'));
const context = join(scratch, 'context');
const installed = process.argv.includes('--installed');
const stages = new Map();
let stage;

const run = (command, options) =>
  execFileSync('sh', ['-ec', command], {
    stdio: 'inherit',
    ...options,
    env: { ...process.env, ...options.env },
  });

/** As links where the file system allows it: nothing here is changed in place. */
function copy(from, to) {
  try {
    execFileSync('cp', ['-alT', from, to], { stdio: 'ignore' });
  } catch {
    cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  }
}

const modules = join(root, 'node_modules');
/** Links where the file system allows them, but for the one file that npm writes in place. */
const linkInstall = [
  `{ cp -al '${modules}' node_modules && cp --remove-destination '${modules}/.package-lock.json' node_modules/; } 2>/dev/null`,
  `{ rm -rf node_modules && cp -a '${modules}' node_modules; }`,
].join(' || ');

/** What does the same as a step by what is installed here already. */
function fromInstall(command) {
  const other = command.startsWith('npm ci')
    ? linkInstall
    : command.startsWith('npm rebuild hnswlib-node')
      ? 'test -e node_modules/hnswlib-node/build/Release/addon.node'
      : command;
  if (other !== command) console.log(`-- instead of ${command}: ${other}`);
  return other;
}

const steps = {
  FROM: (rest) => {
    const name = /\sAS\s+(\S+)/i.exec(rest)?.[1] ?? 'final';
    stage = { root: join(scratch, 'stages', name), workdir: '/', env: {} };
    mkdirSync(stage.root, { recursive: true });
    stages.set(name, stage);
  },
  WORKDIR: (rest) => {
    stage.workdir = rest;
    mkdirSync(join(stage.root, rest), { recursive: true });
  },
  ENV: (rest) => {
    for (const [, key, value] of rest.matchAll(/(\w+)=(\S+)/g)) {
      // The image has Node's headers there; this machine may not.
      if (key === 'npm_config_nodedir' && !existsSync(join(value, 'include/node/node.h'))) continue;
      stage.env[key] = value;
    }
  },
  COPY: (rest) => {
    const words = rest.split(/\s+/);
    const flags = words.filter((word) => word.startsWith('--'));
    const paths = words.filter((word) => !word.startsWith('--'));
    const to = paths.pop();
    const from = flags.find((flag) => flag.startsWith('--from='))?.slice(7);
    for (const path of paths) {
      const source = from ? join(stages.get(from).root, path) : join(context, path);
      const folder = join(stage.root, stage.workdir, to);
      copy(source, to.endsWith('/') ? join(folder, basename(path)) : folder);
    }
  },
  RUN: (rest) => {
    const commands = rest.split('&&').map((part) => part.trim());
    const kept = commands
      .filter((part) => !part.startsWith('apt-get') && !part.includes('/var/lib/apt'))
      .map((part) => (installed ? fromInstall(part) : part));
    if (kept.length > 0) run(kept.join(' && '), { cwd: join(stage.root, stage.workdir), env: stage.env });
  },
  HEALTHCHECK: (rest) => (stage.healthcheck = JSON.parse(rest.slice(rest.indexOf('[')))),
  CMD: (rest) => (stage.command = JSON.parse(rest)),
  USER: () => undefined,
  EXPOSE: () => undefined,
};

try {
  // The build context is what .dockerignore lets through of the committed tree.
  execFileSync('git', ['clone', '--quiet', root, context]);
  const lines = readFileSync(join(context, 'Dockerfile'), 'utf8')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  for (const line of lines) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, word, rest] = /^(\w+)\s+(.*)$/.exec(line);
    if (!(word in steps)) throw new Error(`a step this script does not know: ${word}`);
    console.log(`-- ${line}`);
    steps[word](rest);
  }
  await tryOut(stages.get('final'));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function tryOut({ root: image, workdir, env, command, healthcheck }) {
  const cwd = join(image, workdir);
  for (const extra of ['src', 'test', 'node_modules/vitest', 'node_modules/typescript']) {
    if (existsSync(join(cwd, extra))) throw new Error(`${extra} should not be in the image`);
  }
  const port = 18_080 + (process.pid % 1000);
  const settings = { ...process.env, ...env, NEARVOTE_HOST: '127.0.0.1', NEARVOTE_PORT: String(port) };
  const server = spawn(command[0], command.slice(1), {
    cwd,
    env: settings,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise((resolve) => server.once('exit', (code, signal) => resolve(signal ?? code)));
  try {
    const healthy = () =>
      execFileSync(healthcheck[0], healthcheck.slice(1), { env: settings, stdio: 'ignore' });
    await until(healthy, 30_000);
    const sharp = createRequire(join(cwd, 'package.json'))('sharp');
    const image32 = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#2050c0' } })
      .png()
      .toBuffer();
    const answer = await fetch(`http://127.0.0.1:${port}/classify`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: image32,
    });
    if (answer.status !== 200) throw new Error(`the image answered ${answer.status}`);
    console.log(`docker-steps: classified as ${(await answer.json()).label}`);
  } finally {
    server.kill('SIGTERM');
  }
  const how = await ended;
  if (how !== 0) throw new Error(`SIGTERM ended it with ${how}`);
  console.log('docker-steps: healthy, answered, and stopped with exit 0');
}

async function until(check, limitMs) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    try {
      return check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
