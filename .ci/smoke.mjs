// Starts an installed copy as its user would, posts a picture, and says what came back.
//   node .ci/smoke.mjs FOLDER hnsw|exact
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [folder, expected] = process.argv.slice(2);
const sharp = createRequire(join(folder, 'package.json'))('sharp');
const server = spawn('npm', ['start'], {
  cwd: folder,
  env: { ...process.env, NEARVOTE_PORT: '0' },
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
const stop = () => {
  try {
    process.kill(-server.pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
};
setTimeout(() => fail('no answer within 60 s'), 60_000).unref();

function fail(why) {
  console.error(`smoke: ${why}`);
  process.exitCode = 1;
  stop();
}

try {
  const url = await readyUrl();
  const image = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#2050c0' } })
    .png()
    .toBuffer();
  const answer = await fetch(`${url}/classify`, {
    method: 'POST',
    headers: { 'content-type': 'image/png' },
    body: image,
  });
  const decision = await answer.json();
  if (answer.status !== 200) throw new Error(`status ${answer.status}: ${JSON.stringify(decision)}`);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const exact = /^nearvote_search_exact\{index="[^"]+"\} (\d)$/m.exec(metrics)?.[1];
  if (exact !== (expected === 'exact' ? '1' : '0')) throw new Error(`nearvote_search_exact is ${exact}`);
  console.log(`smoke: ${decision.label} (${decision.confidence.toFixed(3)}), search ${expected}`);
} catch (error) {
  fail(error.message);
}
stop();

async function readyUrl() {
  for await (const line of createInterface({ input: server.stdout })) {
    const url = /http:\/\/[^\s"]+/.exec(line)?.[0];
    if (url !== undefined) return url.replace(/\/$/, '');
  }
  throw new Error('the server ended before it was ready');
}
