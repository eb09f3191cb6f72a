import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import type { Logger } from 'pino';
import { NearvoteError } from '../domain/errors.js';
import { createSharedPools } from '../encoder/pool/shared-pools.js';
import type { OpenPair } from '../pair.js';
import { takeWhatChildrenPrint } from '../processes/channel.js';
import { reloadEach } from '../server/admin-routes.js';
import { createApp, messageClasses } from '../server/app.js';
import { openDecisionLog, type DecisionLog } from '../server/decision-log.js';
import type { LivePair } from '../server/live-pair.js';
import { createMetrics, type Metrics } from '../server/metrics.js';
import type { Tracing } from '../server/request-trace.js';
import { defaultAllowedHosts } from '../server/request-head.js';
import { readServerKeys, type ServerKeys } from '../server/server-keys.js';
import { openServerLog } from '../server/server-log.js';
import { startServer, type RunningServer } from '../server/server.js';
import { createServing, type Serving } from '../server/serving.js';
import { stopInOrder } from '../server/stop-in-order.js';
import { openTracing } from '../server/tracing.js';
import { voteChoice } from './options.js';
import { print } from './printable.js';
import { openServedIndex } from './serve-index.js';
import { serveOptions, type ServeFlags } from './serve-options.js';
import { whichIndexes, type NamedIndex } from './which-indexes.js';

export function serveCommand(): Command {
  const command = new Command('serve')
    .description('answer over HTTP')
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote serve --index index/cifar10 --port 8080\n  $ curl -F image=@photo.jpg http://127.0.0.1:8080/classify\n\nSeveral indexes:\n  $ nearvote serve --index leaves=index/leaves --index flowers=index/flowers\n  $ curl -F image=@photo.jpg "http://127.0.0.1:8080/classify?index=flowers"\n\nSIGHUP loads the versions that the indexes have published meanwhile and opens log files anew; SIGTERM stops.\n',
    )
    .action(serve);
  for (const option of serveOptions()) command.addOption(option);
  return command;
}

/** A collector that is gone must not keep a server from stopping within its grace. */
const msToSendTraces = 2_000;

/** What has to be stopped, as far as it has been started. */
interface Started {
  server?: RunningServer;
  decisionLog?: DecisionLog;
  tracing?: Tracing | undefined;
}

/** Listens first, so that probes are answered while encoder and index load. */
async function serve(flags: ServeFlags, command: Command): Promise<void> {
  if (flags.maxBodyBytes < flags.maxImageBytes) {
    throw new NearvoteError(
      'usage',
      `Expected --max-body-bytes to be at least --max-image-bytes, ${flags.maxImageBytes}, but received ${flags.maxBodyBytes}`,
    );
  }
  if (flags.k > flags.maxK) {
    throw new NearvoteError(
      'usage',
      `Expected --k to be at most --max-k, ${flags.maxK}, but received ${flags.k}`,
    );
  }
  if (flags.maxInflightBytes < flags.maxBodyBytes) {
    throw new NearvoteError(
      'usage',
      `Expected --max-inflight-bytes to be at least --max-body-bytes, ${flags.maxBodyBytes}, but received ${flags.maxInflightBytes}`,
    );
  }
  if (flags.review && flags.keepImages === undefined) {
    throw new NearvoteError('usage', 'Expected --keep-images beside --review, which lists what is kept');
  }
  const chosen = await whichIndexes({
    ...{ index: flags.index, allowHttp: flags.allowHttp },
    fromVariable: command.getOptionValueSource('index') === 'env',
  });
  const elsewhere = chosen.find(({ url, source }) => url !== undefined || source !== undefined);
  if (elsewhere !== undefined && flags.keepImages !== undefined) {
    const where = elsewhere.url === undefined ? 'is fetched' : 'lies in PostgreSQL';
    throw new NearvoteError(
      'usage',
      `Expected indexes in folders beside --keep-images, which keeps decisions there, but ${elsewhere.name} ${where}`,
    );
  }
  print(startingLine(chosen));
  const keys = await readServerKeys({ ...flags, env: process.env });
  const [{ name: first }, ...others] = chosen;
  const names = [first, ...others.map(({ name }) => name)] as const;
  const metrics = createMetrics(names);
  const log = await openServerLog({
    file: flags.logFile,
    level: flags.logLevel,
    onDropped: (lines) => metrics.logLinesDropped(lines),
  });
  const { logger } = log;
  takeWhatChildrenPrint((text) => logger.warn({ text }, 'a child process printed'));
  const serving = createServing(names);
  const started: Started = {};
  const pools = createSharedPools();
  metrics.watchQueue(() => pools.queueDepth);
  const vote = voteChoice(flags, command);
  const parts = { flags, serving, metrics, logger, pools, vote, mayChange: keys.admin !== undefined };
  const opened = await Promise.all(chosen.map((named) => openServedIndex(named, parts)));
  const lives = opened.map(({ live }) => live);
  process.on('SIGHUP', () => {
    // Reloads that failed are counted and logged; here nobody waits for them.
    void reloadEach(serving.indexes);
    void log.reopen();
    void started.decisionLog?.reopen();
  });
  const close = async (): Promise<void> => {
    serving.stopping = true;
    await started.server?.close();
    const traced = started.tracing?.close(msToSendTraces);
    for (const { following } of opened) following.stop();
    await Promise.all(lives.map((live) => live.close()));
    await Promise.all(serving.indexes.map(({ changes }) => changes.close()));
    await Promise.all(serving.indexes.flatMap(({ kept }) => kept?.keeper.close() ?? []));
    await started.decisionLog?.close();
    await traced;
  };
  const stop = async (): Promise<void> => {
    // A load balancer needs a moment to see that this server is not ready; a connection it opened is not to be reset.
    serving.stopping = true;
    await wait(flags.drain);
    await close();
  };
  const forgetStop = stopInOrder({ graceMs: flags.grace, logger, stop, flush: () => log.flush() });
  try {
    await start(flags, { logger, metrics, serving, started, lives, keys });
  } catch (error) {
    // A signal came while it started: stopping is under way and decides the exit code.
    if (serving.stopping) return;
    forgetStop();
    await close();
    throw error;
  }
}

interface Core {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly serving: Serving;
  readonly started: Started;
  readonly lives: readonly LivePair[];
  readonly keys: ServerKeys;
}

async function start(flags: ServeFlags, core: Core): Promise<void> {
  const { logger, metrics, serving, started, lives, keys } = core;
  if (flags.decisionLog !== undefined) {
    started.decisionLog = await openLog(flags.decisionLog, { logger, metrics });
  }
  const version = await packageVersion();
  started.tracing = await openTracing({ logger, version });
  const app = createApp({
    serving,
    metrics,
    logger,
    limits: flags,
    load: flags,
    apiKeys: keys.api,
    adminKey: keys.admin,
    rateLimit: flags.rateLimit,
    trustProxy: flags.trustProxy,
    exposeSources: flags.exposeSources,
    allowedHosts: allowedHosts(flags, keys.api !== undefined),
    decisionLog: started.decisionLog,
    tracing: started.tracing,
    version,
  });
  started.server = await startServer({
    app,
    messages: messageClasses(app),
    host: flags.host,
    port: flags.port,
    maxConnections: flags.maxConnections,
    onError: (err) => logger.error({ err }, 'a connection could not be accepted'),
  });
  const pairs = await Promise.all(lives.map((live) => live.load()));
  for (const { published, neighbours } of pairs) {
    if (neighbours.searchKind === 'hnsw' || flags.search !== 'auto') continue;
    logger.warn(
      { index: published.name },
      'search is exact: hnswlib-node is not installed, or the index was built without it',
    );
  }
  print(readyLine(started.server.url, pairs));
}

function startingLine(chosen: readonly NamedIndex[]): string {
  const each = chosen.map(({ index, name, published }) => {
    const named = chosen.length === 1 ? index : `${name} (${index})`;
    if (published === undefined) return `${named}, which is fetched first`;
    const { encoder } = published.manifest;
    return `${named}, version ${published.version}, encoder ${encoder.name} ${encoder.version}`;
  });
  return `nearvote is starting with ${each.length === 1 ? 'index' : 'indexes'} ${each.join('; ')}`;
}

function readyLine(url: string, pairs: readonly OpenPair[]): string {
  const each = pairs.map(
    ({ published, encoder, pool, neighbours }) =>
      `${published.name} ${published.version}, encoder ${encoder.name} ${encoder.version} on ${pool.runtime}, ` +
      `${neighbours.state.examples} examples, ${neighbours.searchKind} search`,
  );
  // process.uptime counts from before the first import.
  const seconds = process.uptime().toFixed(2);
  return `nearvote is ready on ${url} as process ${process.pid} with ${each.length === 1 ? 'index' : 'indexes'} ${each.join('; ')}, after ${seconds} s`;
}

function allowedHosts({ allowedHosts: told, host }: ServeFlags, asksForKeys: boolean) {
  if (told === undefined) return defaultAllowedHosts(host, asksForKeys);
  return told.includes('*') ? undefined : told;
}

function openLog(file: string, { logger, metrics }: Pick<Core, 'logger' | 'metrics'>): Promise<DecisionLog> {
  let toldAt = -Infinity;
  return openDecisionLog({
    file,
    maxFileBytes: 64_000_000,
    rotations: 5,
    now: () => new Date(),
    onLost: (lines, err) => {
      metrics.decisionLogLost(lines);
      if (performance.now() - toldAt < msBetweenLosses) return;
      toldAt = performance.now();
      logger.error({ err }, 'decisions cannot be written to the decision log');
    },
  });
}

/** A full disk loses many lines a second; the metric counts them all. */
const msBetweenLosses = 10_000;

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
