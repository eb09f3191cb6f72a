import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { parseIndexUrl, type IndexUrl } from '../../src/postgres/index-url.js';
import { openPostgresIndex, type PostgresIndexOptions } from '../../src/postgres/postgres-index.js';
import { searchStatement } from '../../src/postgres/search.js';
import { encoderIdentity } from '../neighbours/small-index.js';
import { nearestByLoop, onCircle, randomUnitRows, unitRows } from '../neighbours/unit-vectors.js';
import { openFaultyProxy, type FaultyProxy } from './faulty-proxy.js';
import {
  adding,
  loadForTest,
  openServerForTest,
  queryServer,
  type ServerForTest,
} from './server-for-test.js';

let server: ServerForTest;
const closing: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  server = await openServerForTest();
}, 120_000);
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});
afterAll(() => server.close());

async function open(url: IndexUrl, options: Partial<PostgresIndexOptions> = {}): Promise<Neighbours> {
  const neighbours = await openPostgresIndex({
    ...{ url, name: 'small', search: 'auto', access: 'write', now: () => new Date() },
    encoder: { digest: encoderIdentity.digest, dimension: 2 },
    ...options,
  });
  closing.push(neighbours);
  return neighbours;
}

const some = [
  { id: 'east', label: 'east', source: '0.png' },
  { id: 'north', label: 'north', source: '90.png' },
];
const loadSome = (): Promise<IndexUrl> =>
  loadForTest(server, { embeddings: onCircle([0, 90]), examples: some });

const east = onCircle([0]).values;
const asked = { k: 1, shown: 1, clamped: true };

async function keyOf({ name }: IndexUrl): Promise<number> {
  const [row] = await queryServer(server.url, `select key from nearvote.indexes where name = '${name}'`);
  return Number(row?.['key']);
}

describe('a search in PostgreSQL', () => {
  it('goes by the graph, which an order by cosine similarity, descending, would not', async () => {
    const count = 3_000;
    const embeddings = randomUnitRows(count, 8);
    const examples = Array.from({ length: count }, (_, i) => ({ id: `e${i}`, label: 'a', source: '' }));
    const key = await keyOf(await loadForTest(server, { embeddings, examples }));
    const vector = `'[${Array.from(embeddings.values.subarray(0, 8)).join(',')}]'::vector(8)`;
    const planOf = async (sql: string): Promise<string> =>
      JSON.stringify(await queryServer(server.url, `explain ${sql}`));
    const byGraph = new RegExp(`Index Scan using rows_${key}_embedding_idx`);
    for (const searches of [1, 3]) {
      const statement = searchStatement({ key, dimension: 8, searches, rows: 36 })
        .replace('$1', '0')
        .replaceAll(/\$\d/g, vector);
      expect(await planOf(statement)).toMatch(byGraph);
      const mutant = statement.replace(
        /order by embedding <#> (\S+) limit/,
        'order by 1 - (embedding <#> $1) desc limit',
      );
      expect(mutant).not.toBe(statement);
      expect(await planOf(mutant)).not.toMatch(byGraph);
    }
  });

  it('lists what a double loop lists, equal similarities in the order of the index, more than 1,000 too', async () => {
    // Each direction four times: whatever order the graph has them in, that of the index is another.
    const directions = randomUnitRows(400, 8, 3);
    const rows = Array.from({ length: 1_600 }, (_, i) =>
      Array.from(directions.values.subarray((i % 400) * 8, (i % 400) * 8 + 8)),
    );
    const embeddings = unitRows(rows);
    const examples = rows.map((_, i) => ({ id: `e${i}`, label: `${i % 3}`, source: '' }));
    const url = await loadForTest(server, { embeddings, examples });
    const queries = randomUnitRows(4, 8, 4);
    const encoder = { digest: encoderIdentity.digest, dimension: 8 };
    for (const [search, k, least] of [
      ['exact', 40, 1],
      ['auto', 40, 0.98],
      ['auto', 1_500, 0.98],
    ] as const) {
      const neighbours = await open(url, { search, encoder });
      const expected = nearestByLoop(embeddings, queries, k);
      for (const [q, { rows: nearest }] of expected.entries()) {
        const query = queries.values.slice(q * 8, q * 8 + 8);
        const found = (await neighbours.search(query, { k, shown: k })).examples.map(({ id }) => id);
        const wanted: string[] = nearest.map((row) => `e${row}`);
        if (least === 1) expect(found).toEqual(wanted);
        const among = new Set(found);
        expect(wanted.filter((id) => among.has(id)).length / k).toBeGreaterThanOrEqual(least);
      }
    }
  });

  it('says so where the graph leads to fewer examples than there are', async () => {
    const url = await loadSome();
    const neighbours = await open(url);
    // As where an entry of the graph is lost.
    await queryServer(
      server.url,
      `update nearvote.rows_${await keyOf(url)} set removed = 1 where id = 'north'`,
    );
    await expect(neighbours.search(east, { k: 2, shown: 1 })).rejects.toMatchObject({
      code: 'search_incomplete',
    });
  });
});

describe('an index in PostgreSQL that several change', () => {
  it('gives every change a number without gaps, and every reader sees them grow in that order', async () => {
    const url = await loadSome();
    const writers = await Promise.all([1, 2, 3, 4].map(() => open(url, { connections: 2 })));
    const reader = await open(url);
    const seen: number[] = [];
    let isOver = false;
    const read = async (): Promise<void> => {
      while (!isOver) {
        const { state } = await reader.search(east, asked);
        seen.push(state.sequence);
        // A change adds one example: no state says n + 1 without holding n.
        expect(state.examples).toBe(2 + state.sequence);
      }
    };
    const reading = read();
    const changes = await Promise.all(
      writers.flatMap((writer, w) => [0, 1, 2, 3, 4].map((i) => writer.change(adding(`w${w}`, w * 5 + i)))),
    );
    isOver = true;
    await reading;
    const inOrder = Array.from({ length: 20 }, (_, i) => i + 1);
    expect(changes.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(inOrder);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    const log = await reader.log({ limit: 99 });
    expect(log.map(({ sequence }) => sequence)).toEqual(inOrder.reverse());
  });

  it('makes an image that all of them add one example', async () => {
    const url = await loadSome();
    const writers = await Promise.all([1, 2, 3].map(() => open(url)));
    const request = adding('west', 180);
    const changed = await Promise.all(writers.map((writer) => writer.change(request)));
    const outcomes = changed.flatMap(({ outcomes: [one] }) => one?.outcome ?? []);
    expect(outcomes.sort()).toEqual(['added', 'unchanged', 'unchanged']);
  });

  it('is searched as another has just changed it, and labels it gave are known', async () => {
    const url = await loadSome();
    const [one, other] = [await open(url), await open(url)];
    await one.change(adding('near east', 1));
    const nearest = await other.search(onCircle([1]).values, asked);
    expect(nearest.labels).toEqual(['near east']);
    expect(nearest.state.labels).toContainEqual({ label: 'near east', examples: 1 });
    expect(other.state.sequence).toBe(1);
  });
});

describe('a database that is refused', () => {
  const code = (wanted: string) => ({ code: wanted });

  it('has an index of another encoder, of another dimension, or none of that name', async () => {
    const url = await loadSome();
    const { digest } = encoderIdentity;
    for (const encoder of [
      { digest: 'f'.repeat(64), dimension: 2 },
      { digest, dimension: 3 },
    ]) {
      await expect(open(url, { encoder })).rejects.toMatchObject(code('encoder_mismatch'));
    }
    const other = parseIndexUrl(`${server.url}?name=nobody`);
    await expect(open(other)).rejects.toMatchObject(code('index_missing'));
  });

  it('has an older pgvector, or a schema of a newer nearvote', async () => {
    const url = await loadSome();
    const versions = await queryServer(
      server.url,
      `select extversion from pg_extension where extname = 'vector'`,
    );
    const version = String(versions[0]?.['extversion']);
    const setVersion = (to: string) =>
      queryServer(server.url, `update pg_extension set extversion = '${to}' where extname = 'vector'`);
    for (const old of ['0.7.4', '0.8.3']) {
      await setVersion(old);
      await expect(open(url)).rejects.toMatchObject(code('database_unsuitable'));
    }
    for (const fine of ['0.8.4', '0.10.0', '1.0', version]) {
      await setVersion(fine);
      await open(url);
    }
    await queryServer(server.url, 'insert into nearvote.steps values (99, now())');
    await expect(open(url)).rejects.toMatchObject(code('database_unsuitable'));
    await queryServer(server.url, 'delete from nearvote.steps where step = 99');
    await open(url);
  });

  it('is not loaded into twice under one name', async () => {
    const url = await loadSome();
    await expect(
      loadForTest(server, { embeddings: onCircle([0, 90]), examples: some }, url.name),
    ).rejects.toMatchObject(code('output_exists'));
  });

  it('never has its password told, whatever is wrong with its URL', () => {
    for (const wrong of [
      'postgres://me:hidden@host/db',
      'postgres://me:hidden@host/?name=a',
      'postgres://me:hidden@host/db?name=a/b',
      'postgres://me:hidden@ho st/db?name=a',
    ]) {
      let error: unknown;
      try {
        parseIndexUrl(wrong);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject(code('usage'));
      expect(String(error) + JSON.stringify(error)).not.toContain('hidden');
    }
    const { shown } = parseIndexUrl(
      'postgres://me:hidden@host:5433/db?sslmode=require&name=a&password=hidden',
    );
    expect(shown).toBe('postgres://host:5433/db?name=a');
  });
});

describe('a connection that fails', () => {
  const throughProxy = async (
    options: Partial<PostgresIndexOptions> = {},
  ): Promise<{ proxy: FaultyProxy; neighbours: Neighbours }> => {
    const url = await loadSome();
    const proxy = await openFaultyProxy(url.indexUrl);
    closing.push(proxy);
    const neighbours = await open(parseIndexUrl(proxy.url), { connections: 2, ...options });
    return { proxy, neighbours };
  };
  const back = (neighbours: Neighbours): Promise<void> =>
    vi.waitFor(() => expect(neighbours.ready).toBe(true), { timeout: 10_000, interval: 20 });

  it('is replaced where it was reset, and nobody notices', async () => {
    const { proxy, neighbours } = await throughProxy();
    await neighbours.search(east, asked);
    proxy.resetAll();
    expect((await neighbours.search(east, asked)).labels).toEqual(['east']);
    proxy.resetAll();
    expect((await neighbours.change(adding('west', 180))).sequence).toBe(1);
    expect(neighbours.ready).toBe(true);
  });

  it.each(['stall', 'half'] as const)(
    'is refused in time where answers %s, and serves again when they come',
    async (fault) => {
      const told: string[] = [];
      const { proxy, neighbours } = await throughProxy({
        limits: { connectMs: 1_500, statementMs: 1_500 },
        onDatabase: (message) => told.push(message),
      });
      await neighbours.search(east, asked);
      proxy.answers = fault;
      const started = performance.now();
      const calls = [neighbours.search(east, asked), neighbours.change(adding('west', 180))];
      const refused = { status: 'rejected', reason: { code: 'database_unreachable' } };
      expect(await Promise.allSettled(calls)).toMatchObject([refused, refused]);
      await expect(neighbours.log({ limit: 1 })).rejects.toMatchObject({ code: 'database_unreachable' });
      expect(performance.now() - started).toBeLessThan(10_000);
      expect(neighbours.ready).toBe(false);
      proxy.answers = 'pass';
      await back(neighbours);
      // However many were refused, that is said twice.
      expect(told).toEqual([
        expect.stringMatching(/^PostgreSQL does not answer/),
        expect.stringMatching(/^PostgreSQL answers again after [\d.]+ s; 1 calls were refused meanwhile$/),
      ]);
      expect((await neighbours.search(east, asked)).labels).toEqual(['east']);
    },
  );

  it('that is lost after a commit was sent makes the change once, and the answer says so', async () => {
    const { proxy, neighbours } = await throughProxy();
    const request = adding('west', 180);
    proxy.resetAfter = 'commit';
    const changed = await neighbours.change(request);
    expect(proxy.resetAfter).toBeUndefined();
    expect(changed).toMatchObject({ sequence: 1, operation: 1, outcomes: [{ outcome: 'added' }] });
    expect(await neighbours.log({ limit: 9 })).toHaveLength(1);
    expect(neighbours.state).toMatchObject({ sequence: 1, examples: 3 });
  });
});
