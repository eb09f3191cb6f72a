import { afterAll, afterEach, beforeAll } from 'vitest';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { openPostgresIndex } from '../../src/postgres/postgres-index.js';
import { openForTest, testConformance, type Implementation } from '../neighbours/conformance.js';
import { encoderIdentity } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { loadForTest, openServerForTest, type ServerForTest } from './server-for-test.js';

let server: ServerForTest;
const opened = new Set<Neighbours>();
beforeAll(async () => {
  server = await openServerForTest();
}, 120_000);
afterEach(async () => {
  await Promise.all([...opened].map((neighbours) => neighbours.close()));
  opened.clear();
});
afterAll(() => server.close());

const inPostgres = (search: 'auto' | 'exact'): Implementation => ({
  name: `the index in PostgreSQL, ${search === 'auto' ? 'by its graph' : 'by exact search'}`,
  open: async (examples) => {
    const url = await loadForTest(server, {
      embeddings: onCircle(examples.map(([degrees]) => degrees)),
      examples: examples.map(([, example]) => example),
    });
    return openForTest(
      () =>
        openPostgresIndex({
          ...{ url, name: 'small', search, access: 'write', now: () => new Date() },
          encoder: { digest: encoderIdentity.digest, dimension: 2 },
        }),
      opened,
    );
  },
});

testConformance(inPostgres('auto'));
testConformance(inPostgres('exact'));
