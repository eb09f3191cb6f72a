import { randomBytes } from 'node:crypto';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import pg from 'pg';
import type { Embeddings } from '../../src/domain/embeddings.js';
import type { Example } from '../../src/domain/decision.js';
import { parseIndexUrl, type IndexUrl } from '../../src/postgres/index-url.js';
import { loadIndex } from '../../src/postgres/load-index.js';
import type { ChangeRequest } from '../../src/neighbours/changes.js';
import { encoderIdentity } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';

export interface ServerForTest {
  readonly what: 'PGlite' | 'PostgreSQL';
  /** Of a database that is empty at first. */
  readonly url: string;
  close(): Promise<void>;
}

/** The server of NEARVOTE_TEST_POSTGRES_URL, in a database of its own; where that is not set, PGlite over TCP. */
export async function openServerForTest(): Promise<ServerForTest> {
  const real = process.env['NEARVOTE_TEST_POSTGRES_URL'];
  return real === undefined ? openPglite() : openDatabaseOn(real);
}

export async function openPglite(): Promise<ServerForTest> {
  const db = await PGlite.create({ extensions: { vector } });
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 64 });
  await server.start();
  return {
    what: 'PGlite',
    url: `postgres://postgres@${server.getServerConn()}/postgres`,
    close: async () => {
      await server.stop();
      await db.close();
    },
  };
}

async function openDatabaseOn(real: string): Promise<ServerForTest> {
  const name = `nearvote_test_${randomBytes(6).toString('hex')}`;
  await onServer(real, `create database ${name}`);
  const url = new URL(real);
  url.pathname = `/${name}`;
  return {
    what: 'PostgreSQL',
    url: url.href,
    close: () => onServer(real, `drop database ${name} with (force)`),
  };
}

async function onServer(url: string, sql: string): Promise<void> {
  await queryServer(url, sql);
}

/** Asks a server as another client would. */
export async function queryServer(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Loads an index, of a name that no other has unless told. */
export async function loadForTest(
  server: Pick<ServerForTest, 'url'>,
  { embeddings, examples }: { readonly embeddings: Embeddings; readonly examples: readonly Example[] },
  name = `test-${randomBytes(6).toString('hex')}`,
): Promise<IndexUrl> {
  const url = parseIndexUrl(`${server.url}?name=${name}`);
  const { dimension, values } = embeddings;
  const labels = [...new Set(examples.map(({ label }) => label))];
  await loadIndex({
    ...{ url, version: 'v1', manifest: '{}', calibration: null, dimension, m: 16, efConstruction: 64 },
    encoder: encoderIdentity.digest,
    examples: examples.map((example, row) => ({
      ...example,
      embedding: values.slice(row * dimension, (row + 1) * dimension),
    })),
    labels: labels.map((label) => ({
      label,
      examples: examples.filter((one) => one.label === label).length,
    })),
  });
  return url;
}

/** Of an example that is taught, at so many degrees of the circle. */
export const adding = (label: string, degrees: number): ChangeRequest => ({
  kind: 'add',
  examples: [
    {
      ...{ label, source: 'taught', digest: randomBytes(32).toString('hex') },
      embedding: onCircle([degrees]).values,
    },
  ],
  ...{ reason: null, who: null },
});
