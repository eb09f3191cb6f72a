// Starts a server and has schemathesis ask what its OpenAPI document describes: no 5xx, no status or body that is not in it.
//   node .ci/schemathesis.mjs PATH_OF_ST
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

const [st] = process.argv.slice(2);
const server = spawn(
  process.execPath,
  ['dist/cli/main.js', 'serve', '--port', '0', '--workers', '1', '--log-level', 'warn'],
  {
    // A key that is not sent: /admin/reload is there, and is not carried out again and again.
    env: {
      ...process.env,
      NEARVOTE_INDEX: 'index/cifar10',
      NEARVOTE_ADMIN_KEY: 'not-sent-not-sent-not-sent',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
let url;
for await (const line of createInterface({ input: server.stdout })) {
  url = /http:\/\/\S+/.exec(line)?.[0];
  if (url !== undefined) break;
}
const { status } = spawnSync(
  st,
  [
    ...['--config-file', '.ci/schemathesis.toml', 'run', `${url}/openapi.json`, '--seed', '1'],
    ...['--phases', 'coverage,fuzzing', '--max-examples', '50', '--continue-on-failure'],
  ],
  { stdio: 'inherit' },
);
server.kill('SIGTERM');
process.exitCode = status === 0 ? 0 : 1;
