/* What Express costs a request, with its prototypes set late and early, core-ms.  npx tsx bench/express-messages.ts */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import express from 'express';
import { median } from './figures.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { messageClasses } from '../src/server/app.js';

const rounds = 5;
const seconds = 3;
const connections = 32;
const kinds = ['Node alone', 'Express', 'Express, its classes from the start'] as const;
type Kind = (typeof kinds)[number];

const answer: RequestListener = (_, res) => {
  res.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
};

function serverOf(kind: Kind): Server {
  if (kind === 'Node alone') return createServer(answer);
  const app = express();
  app.get('/', answer);
  return kind === 'Express' ? createServer(app) : createServer(messageClasses(app), app);
}

/** In a process of its own, so that its CPU is the server's alone and no kind inherits what V8 learned of another. */
async function serve(kind: Kind): Promise<void> {
  const server = serverOf(kind).listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.send?.(server.address());
}

async function coreMs(kind: Kind): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), [kind]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const cpuMs = async (): Promise<number> => {
    child.send('cpu');
    const [{ user, system }] = (await once(child, 'message')) as [NodeJS.CpuUsage];
    return (user + system) / 1_000;
  };
  const load = (duration: number): Promise<autocannon.Result> =>
    autocannon({ url: `http://127.0.0.1:${port}`, connections, duration });
  await load(1);
  const before = await cpuMs();
  const { requests } = await load(seconds);
  const spent = (await cpuMs()) - before;
  child.kill();
  return spent / requests.total;
}

async function compare(): Promise<void> {
  const measured = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]));
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) measured.get(kind)?.push(await coreMs(kind));
  }
  const alone = median(measured.get('Node alone') ?? []);
  console.log(
    `core-ms a request of the server's process, ${connections} connections, median of ${rounds} rounds\n`,
  );
  console.log(
    markdownTable(
      ['', 'core-ms', 'beyond Node alone'],
      [...measured].map(([kind, values]) => [
        kind,
        median(values).toFixed(3),
        (median(values) - alone).toFixed(3),
      ]),
    ),
  );
}

const [, , asked] = process.argv;
const kind = kinds.find((each) => each === asked);
await (kind === undefined ? compare() : serve(kind));
