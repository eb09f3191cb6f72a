import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import type { Logger } from 'pino';
import { NearvoteError } from '../domain/errors.js';
import { openPair } from '../pair.js';
import { takeWhatChildrenPrint } from '../processes/channel.js';
import { createApp, messageClasses } from '../server/app.js';
import { openDecisionLog, type DecisionLog } from '../server/decision-log.js';
import { createLivePair, type LivePair } from '../server/live-pair.js';
import { createMetrics, type Metrics } from '../server/metrics.js';
import { defaultAllowedHosts } from '../server/request-head.js';
import { readServerKeys } from '../server/server-keys.js';
import { openServerLog } from '../server/server-log.js';
import { startServer, type RunningServer } from '../server/server.js';
import { createServing, type Serving } from '../server/serving.js';
import { stopInOrder } from '../server/stop-in-order.js';
import { voteChoice } from './options.js';
import { print } from './printable.js';
import { serveOptions, type ServeFlags } from './serve-options.js';
import { whichIndex } from './which-index.js';

export function serveCommand(): Command {
  const command = new Command('serve')
    .description('answer over HTTP')
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote serve --index index/cifar10 --port 8080\n  $ curl -F image=@photo.jpg http://127.0.0.1:8080/classify\n\nSIGHUP loads the version that the index has published meanwhile and opens log files anew; SIGTERM stops.\n',
    )
    .action(serve);
  for (const option of serveOptions()) command.addOption(option);
  return command;
}

/** What has to be stopped, as far as it has been started. */
interface Started {
  server?: RunningServer;
  decisionLog?: DecisionLog;
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
  const { index, published } = await whichIndex(flags.index);
  const { encoder } = published.manifest;
  print(
    `nearvote is starting with index ${index}, version ${published.version}, encoder ${encoder.name} ${encoder.version}`,
  );
  const metrics = createMetrics();
  const log = await openServerLog({
    file: flags.logFile,
    level: flags.logLevel,
    onDropped: (lines) => metrics.logLinesDropped(lines),
  });
  const { logger } = log;
  takeWhatChildrenPrint((text) => logger.warn({ text }, 'a child process printed'));
  const serving = createServing();
  const started: Started = {};
  const live = createLivePair({
    serving,
    metrics,
    logger,
    vote: voteChoice(flags, command),
    providers: flags.providers,
    requestTimeoutMs: flags.requestTimeout,
    open: (former) =>
      openPair({
        ...flags,
        index,
        former,
        besideOthers: former !== undefined,
        onUnprotected: (reason) => logger.warn({ reason }, 'a build may remove the version that is served'),
        onBatch: (size) => metrics.batch(size),
        onProcessEnd: (process, reason) => {
          metrics.processEnded(process);
          logger.warn({ process, reason }, 'a process has ended and is being replaced');
        },
      }),
  });
  process.on('SIGHUP', () => {
    // A reload that failed is counted and logged; here nobody waits for it.
    void live.reload().catch(() => undefined);
    void log.reopen();
    void started.decisionLog?.reopen();
  });
  const close = async (): Promise<void> => {
    serving.stopping = true;
    await started.server?.close();
    await live.close();
    await started.decisionLog?.close();
  };
  const stop = async (): Promise<void> => {
    // A load balancer needs a moment to see that this server is not ready; a connection it opened is not to be reset.
    serving.stopping = true;
    await wait(flags.drain);
    await close();
  };
  const forgetStop = stopInOrder({ graceMs: flags.grace, logger, stop, flush: () => log.flush() });
  try {
    await start(flags, { logger, metrics, serving, started, live });
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
  readonly live: LivePair;
}

async function start(flags: ServeFlags, { logger, metrics, serving, started, live }: Core): Promise<void> {
  if (flags.decisionLog !== undefined) {
    started.decisionLog = await openLog(flags.decisionLog, { logger, metrics });
  }
  const keys = await readServerKeys({ ...flags, env: process.env });
  const app = createApp({
    serving,
    metrics,
    logger,
    limits: flags,
    load: flags,
    apiKeys: keys.api,
    admin: keys.admin === undefined ? undefined : { key: keys.admin, reload: () => live.reload() },
    rateLimit: flags.rateLimit,
    trustProxy: flags.trustProxy,
    exposeSources: flags.exposeSources,
    allowedHosts: allowedHosts(flags, keys.api !== undefined),
    decisionLog: started.decisionLog,
    version: await packageVersion(),
  });
  started.server = await startServer({
    app,
    messages: messageClasses(app),
    host: flags.host,
    port: flags.port,
    maxConnections: flags.maxConnections,
    onError: (err) => logger.error({ err }, 'a connection could not be accepted'),
  });
  const { published, encoder, pool, neighbours } = await live.load();
  const { searchKind } = neighbours;
  if (searchKind === 'exact' && flags.search === 'auto') {
    logger.warn('search is exact: hnswlib-node is not installed, or the index was built without it');
  }
  // process.uptime counts from before the first import.
  print(
    `nearvote is ready on ${started.server.url} as process ${process.pid} with index ${published.name} ${published.version}, ` +
      `encoder ${encoder.name} ${encoder.version} on ${pool.runtime}, ${published.manifest.examples} examples, ` +
      `${searchKind} search, after ${process.uptime().toFixed(2)} s`,
  );
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
