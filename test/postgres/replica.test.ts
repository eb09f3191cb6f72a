import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { parseIndexUrl } from '../../src/postgres/index-url.js';
import { openPostgresIndex, type PostgresIndexOptions } from '../../src/postgres/postgres-index.js';
import { encoderIdentity } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { openFaultyProxy } from './faulty-proxy.js';
import {
  adding,
  loadForTest,
  openPglite,
  openServerForTest,
  queryServer,
  type ServerForTest,
} from './server-for-test.js';

const closing: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

const some = {
  embeddings: onCircle([0, 90]),
  examples: [
    { id: 'east', label: 'east', source: '0.png' },
    { id: 'north', label: 'north', source: '90.png' },
  ],
};
const east = onCircle([0]).values;
const asked = { k: 1, shown: 1, clamped: true };
const behind = { code: 'index_behind' };

function urlOf(server: string, name: string, replica: string) {
  const url = new URL(server);
  url.searchParams.set('name', name);
  url.searchParams.set('replica', new URL(replica).host);
  return parseIndexUrl(url.href);
}

async function open(
  url: ReturnType<typeof urlOf>,
  options: Partial<PostgresIndexOptions> = {},
): Promise<Neighbours> {
  const neighbours = await openPostgresIndex({
    ...{ url, name: 'small', search: 'auto', access: 'write', now: () => new Date() },
    encoder: { digest: encoderIdentity.digest, dimension: 2 },
    // A busy machine is no fault of the replica.
    limits: { connectMs: 20_000, statementMs: 20_000 },
    ...options,
  });
  closing.push(neighbours);
  return neighbours;
}

describe('a replica that is read in place of the database', () => {
  let primary: ServerForTest;
  let copy: ServerForTest;
  beforeAll(async () => {
    // The second never hears of a change of the first, as a replica that is behind.
    [primary, copy] = await Promise.all([openPglite(), openPglite()]);
  }, 120_000);
  afterAll(() => Promise.all([primary.close(), copy.close()]));

  let loaded = 0;
  async function loadBoth(): Promise<string> {
    const { name } = await loadForTest(primary, some);
    await loadForTest(copy, some, name);
    loaded++;
    await queryServer(copy.url, `update nearvote.rows_${loaded} set source = 'of the replica'`);
    return name;
  }
  const whoAnswers = async (neighbours: Neighbours): Promise<string | undefined> =>
    (await neighbours.search(east, asked)).examples[0]?.source;

  it('is asked while it is as far as what this server has acknowledged, and the database while not', async () => {
    const name = await loadBoth();
    const neighbours = await open(urlOf(primary.url, name, copy.url));
    expect(await whoAnswers(neighbours)).toBe('of the replica');
    expect((await neighbours.list({ limit: 1 })).examples[0]?.source).toBe('of the replica');
    expect(neighbours.replica).toEqual({ ready: true, behind: 0, lagSeconds: 0, passed: 0 });
    const change = adding('west', 180);
    await neighbours.change(change);
    const nearest = await neighbours.search(onCircle([180]).values, asked);
    expect(nearest).toMatchObject({ labels: ['west'], state: { sequence: 1 } });
    expect(await neighbours.list({ limit: 9 })).toMatchObject({ sequence: 1 });
    expect(neighbours.replica).toMatchObject({ ready: true, behind: 1, passed: 2 });
    expect(neighbours.replica?.lagSeconds).toBeGreaterThan(0);
    // It makes the change too.
    const late = await open(parseIndexUrl(`${copy.url}?name=${name}`));
    await late.change(change);
    expect(await whoAnswers(neighbours)).toBe('of the replica');
    expect(neighbours.replica).toMatchObject({ behind: 0, lagSeconds: 0 });
  });

  it('is passed where a later state is asked for, which is refused where there is none', async () => {
    const name = await loadBoth();
    const neighbours = await open(urlOf(primary.url, name, copy.url));
    const another = await open(parseIndexUrl(`${primary.url}?name=${name}`));
    await another.change(adding('west', 180));
    expect((await neighbours.search(east, asked)).state.sequence).toBe(0);
    expect((await neighbours.search(east, { ...asked, atLeast: 1 })).state.sequence).toBe(1);
    // No later answer goes back in time.
    expect((await neighbours.search(east, asked)).state.sequence).toBe(1);
    await expect(neighbours.search(east, { ...asked, atLeast: 2 })).rejects.toMatchObject(behind);
    await expect(neighbours.list({ limit: 1, atLeast: 2 })).rejects.toMatchObject(behind);
  });

  it.each(['stall', 'half'] as const)(
    'is left alone while its answers %s, without an error, and asked again after',
    async (fault) => {
      const name = await loadBoth();
      const proxy = await openFaultyProxy(copy.url);
      closing.push(proxy);
      const told: string[] = [];
      const neighbours = await open(urlOf(primary.url, name, proxy.url), {
        ...{ onDatabase: (message) => told.push(message), connections: 2 },
        limits: { connectMs: 1_500, statementMs: 1_500 },
      });
      expect(await whoAnswers(neighbours)).toBe('of the replica');
      proxy.answers = fault;
      expect(await whoAnswers(neighbours)).toBe('0.png');
      await neighbours.follow();
      expect(neighbours.replica?.ready).toBe(false);
      expect(neighbours.ready).toBe(true);
      expect(told).toEqual([expect.stringContaining('cannot be read')]);
      proxy.answers = 'pass';
      await vi.waitFor(
        async () => {
          await neighbours.follow();
          expect(neighbours.replica?.ready).toBe(true);
        },
        { timeout: 10_000, interval: 50 },
      );
      expect(await whoAnswers(neighbours)).toBe('of the replica');
      expect(told).toHaveLength(2);
    },
  );

  it('is read on while the database itself is dead, and the index stays ready', async () => {
    const name = await loadBoth();
    const proxy = await openFaultyProxy(primary.url);
    const told: string[] = [];
    const neighbours = await open(urlOf(proxy.url, name, copy.url), {
      onDatabase: (message) => told.push(message),
    });
    const gone = { code: 'database_unreachable' };
    await proxy.close();
    await expect(neighbours.change(adding('west', 180))).rejects.toMatchObject(gone);
    await expect(neighbours.follow()).rejects.toMatchObject(gone);
    expect(await whoAnswers(neighbours)).toBe('of the replica');
    expect((await neighbours.list({ limit: 1 })).examples[0]?.source).toBe('of the replica');
    expect(neighbours.ready).toBe(true);
    expect(neighbours.replica).toMatchObject({ ready: true, passed: 0 });
    // What only the database can say is refused.
    await expect(neighbours.search(east, { ...asked, atLeast: 1 })).rejects.toMatchObject(gone);
    await expect(neighbours.log({ limit: 1 })).rejects.toMatchObject(gone);
    expect(told).toEqual([expect.stringMatching(/^PostgreSQL does not answer/)]);
  });

  it('is never asked where it has another index of that name, or none', async () => {
    const { name } = await loadForTest(primary, some);
    loaded++;
    await loadForTest(copy, some);
    const told: string[] = [];
    const onDatabase = (message: string) => void told.push(message);
    const neighbours = await open(urlOf(primary.url, name, copy.url), { onDatabase });
    expect(await whoAnswers(neighbours)).toBe('0.png');
    expect(neighbours.replica).toMatchObject({ ready: false, passed: 1 });
    expect(told).toEqual([expect.stringContaining('does not have the index')]);
  });

  it('is named by its host and port alone', () => {
    const { replica, connection } = parseIndexUrl('postgres://me:hidden@one:1/db?name=a&replica=two:2');
    expect([connection, replica]).toEqual(['postgres://me:hidden@one:1/db', 'postgres://me:hidden@two:2/db']);
    for (const wrong of ['', 'a b', 'a/b', 'me@two', 'two:port', 'two:70000']) {
      const told = `postgres://one/db?name=a&replica=${encodeURIComponent(wrong)}`;
      expect(() => parseIndexUrl(told), wrong).toThrow(/replica/);
    }
  });
});

const streaming = process.env['NEARVOTE_TEST_REPLICA_URL'];
describe.skipIf(streaming === undefined)('a replica that PostgreSQL streams changes to', () => {
  it('is read as it comes after, and passed while it is behind', async () => {
    const server = await openServerForTest();
    closing.push(server);
    const { name } = await loadForTest(server, some);
    const neighbours = await open(urlOf(server.url, name, streaming ?? ''));
    const caughtUp = { ready: true, behind: 0, lagSeconds: 0 };
    const follows = () =>
      vi.waitFor(
        async () => {
          await neighbours.follow();
          expect(neighbours.replica).toMatchObject(caughtUp);
        },
        { timeout: 20_000, interval: 20 },
      );
    await follows();
    const onReplica = (sql: string) => queryServer(streaming ?? '', sql);
    await onReplica('select pg_wal_replay_pause()');
    await vi.waitFor(async () => {
      const [row] = await onReplica('select pg_get_wal_replay_pause_state() as state');
      expect(row?.['state']).toBe('paused');
    });
    try {
      await neighbours.change(adding('west', 180));
      expect((await neighbours.search(onCircle([180]).values, asked)).labels).toEqual(['west']);
      expect(neighbours.replica).toMatchObject({ ready: true, behind: 1 });
      await expect(neighbours.search(east, { ...asked, atLeast: 2 })).rejects.toMatchObject(behind);
    } finally {
      await onReplica('select pg_wal_replay_resume()');
    }
    await follows();
    const passed = neighbours.replica?.passed;
    expect((await neighbours.search(onCircle([180]).values, asked)).labels).toEqual(['west']);
    expect(neighbours.replica?.passed).toBe(passed);
  });
});
