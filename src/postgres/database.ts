/* The one file that knows node-postgres: connections, time limits, and what its errors mean. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { messageOf, NearvoteError, systemCodeOf } from '../domain/errors.js';

/** A row by the names of its columns. */
export type Row = Readonly<Record<string, unknown>>;

export type Query = (sql: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

export interface DatabaseOptions {
  /** As `IndexUrl.connection`. */
  readonly connection: string;
  /** Most connections at once; what needs another waits for one. */
  readonly connections: number;
  /** How long a connection, its login included, or a free one is waited for. */
  readonly connectMs: number;
  /** How long one statement may take. */
  readonly statementMs: number;
  /** Told when the server is lost, and when it is back and how many calls were refused meanwhile. */
  readonly onChange?: ((message: string) => void) | undefined;
}

interface SelectQuery {
  /** As after SET LOCAL. */
  readonly settings: readonly string[];
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** A PostgreSQL server behind a pool of connections. No call takes longer than its limits, whatever the network does. */
export interface Database {
  /** False from the first failure on until the server has answered again; meanwhile every call is refused at once. */
  readonly reachable: boolean;
  /** One query that reads, with settings of its own, in one round trip. */
  select(query: SelectQuery): Promise<readonly Row[]>;
  /**
   * Queries in one transaction; all of it or nothing. What did not get through is run again from the start: where a commit
   * was sent and its answer lost, `work` finds what it has done.
   */
  transaction<T>(mode: 'read' | 'write', work: (query: Query) => Promise<T>): Promise<T>;
  /** Resolves when what was asked is answered and every connection closed. */
  close(): Promise<void>;
}

/** Past a few, others change the same index all the time. */
const mostConflicts = 8;
/** The other connections of a server that was restarted are lost one by one. */
const mostLosses = 3;
const probeMs = 500;

/** @throws NearvoteError `dependency_missing`; a server is asked for when the first query is */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { connection, connections, connectMs, statementMs, onChange } = options;
  const { default: pg } = await import('pg');
  const pool: Pool = new pg.Pool({
    connectionString: connection,
    // What is sent without waiting for the answer before is answered in its order.
    pipeline: true,
    max: connections,
    connectionTimeoutMillis: connectMs,
    // The server ends a statement itself; this is for one that does not answer any more.
    query_timeout: statementMs + 250,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    application_name: 'nearvote',
    allowExitOnIdle: true,
  });
  // A connection that is lost while nothing runs on it is replaced when it is next asked for.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  let reachable = true;
  let closed = false;
  let lostAt = 0;
  let refused = 0;
  let probe: NodeJS.Timeout | undefined;

  function lost(error: unknown): void {
    if (!reachable || closed) return;
    reachable = false;
    lostAt = performance.now();
    refused = 0;
    onChange?.(`PostgreSQL does not answer, and requests are refused until it does: ${messageOf(error)}`);
    let busy = false;
    probe = setInterval(() => {
      if (busy) return;
      busy = true;
      withClient((client) => client.query('select 1'))
        .then(found, () => undefined)
        .finally(() => (busy = false));
    }, probeMs);
    probe.unref();
  }

  function found(): void {
    clearInterval(probe);
    if (reachable || closed) return;
    reachable = true;
    const seconds = ((performance.now() - lostAt) / 1000).toFixed(1);
    onChange?.(`PostgreSQL answers again after ${seconds} s; ${refused} calls were refused meanwhile`);
  }

  async function withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      broken = isBreaking(error);
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async function attempt<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    if (closed) throw new NearvoteError('shutting_down', 'The server is shutting down');
    if (!reachable) {
      refused++;
      throw unreachable('it has not answered again yet');
    }
    for (let conflicts = 0, losses = 0; ;) {
      try {
        return await withClient(work);
      } catch (error) {
        if (error instanceof NearvoteError) throw error;
        const fault = faultOf(error);
        if (fault === 'conflict' && ++conflicts < mostConflicts) {
          await sleep(Math.random() * 2 ** conflicts);
          continue;
        }
        if (fault === 'lost' && ++losses < mostLosses) continue;
        if (fault === 'lost' || fault === 'silent') lost(error);
        throw nearvoteErrorOf(error, fault);
      }
    }
  }

  const reading = 'isolation level repeatable read, read only';
  const limits = `set local statement_timeout = ${statementMs}; set local lock_timeout = ${statementMs}`;

  return {
    get reachable() {
      return reachable;
    },
    select: ({ settings, sql, values }) =>
      attempt(async (client) => {
        const set = settings.map((setting) => `; set local ${setting}`).join('');
        const [begun, selected, committed] = await Promise.allSettled([
          client.query(`begin read only; ${limits}${set}`),
          client.query<Row>(sql, [...values]),
          client.query('commit'),
        ]);
        for (const one of [begun, selected, committed]) if (one.status === 'rejected') throw one.reason;
        return selected.status === 'fulfilled' ? selected.value.rows : [];
      }),
    transaction: (mode, work) =>
      attempt(async (client) => {
        await client.query(`begin ${mode === 'read' ? reading : ''}; ${limits}`);
        try {
          const done = await work(async (sql, values = []) => {
            const { rows } = await client.query<Row>(sql, [...values]);
            return rows;
          });
          await client.query('commit');
          return done;
        } catch (error) {
          // Of a connection that is lost nothing was kept, or all of it.
          if (!isBreaking(error)) await client.query('rollback');
          throw error;
        }
      }),
    close: async () => {
      closed = true;
      clearInterval(probe);
      await pool.end();
    },
  };
}

type Fault = 'conflict' | 'lost' | 'silent' | 'slow' | 'other';

/** Of SQLSTATE (appendix A of PostgreSQL's manual), of the system, and of what node-postgres says without a code. */
function faultOf(error: unknown): Fault {
  const code = systemCodeOf(error);
  if (code === '40001' || code === '40P01') return 'conflict';
  if (code === '57014' || code === '55P03') return 'slow';
  if (/timeout/i.test(messageOf(error)) && !/^[0-9A-Z]{5}$/.test(code)) return 'silent';
  if (/^(08|57P|53)/.test(code) && code !== '53100') return 'lost';
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN|ENOENT)/.test(code)) return 'lost';
  return /Connection terminated|connection.*closed|not queryable/i.test(messageOf(error)) ? 'lost' : 'other';
}

/** Whether nobody knows what a connection is in the middle of. */
function isBreaking(error: unknown): boolean {
  return !(error instanceof NearvoteError) && ['lost', 'silent'].includes(faultOf(error));
}

function nearvoteErrorOf(error: unknown, fault: Fault): NearvoteError {
  const code = systemCodeOf(error);
  const said = `${messageOf(error)} (${code})`;
  if (fault === 'conflict') return unreachable('others change the same examples all the time');
  if (fault === 'slow') return unreachable('the statement took too long');
  if (fault !== 'other') return unreachable(said);
  if (code === '25006' || code === '42501') {
    return new NearvoteError(
      'index_readonly',
      `Expected an index that may be changed but PostgreSQL says: ${said}`,
    );
  }
  if (code === '53100' || code === '54000') {
    return new NearvoteError(
      'output_unwritable',
      `Expected PostgreSQL to keep the change but it says: ${said}`,
    );
  }
  if (/^(28|3D|3F|42P01)/.test(code)) {
    return new NearvoteError(
      'database_unsuitable',
      `Expected a database for an index but PostgreSQL says: ${said}`,
    );
  }
  return new NearvoteError('internal', `Expected PostgreSQL to answer but it says: ${said}`);
}

function unreachable(why: string): NearvoteError {
  return new NearvoteError('database_unreachable', `Expected PostgreSQL to answer in time but ${why}`);
}
