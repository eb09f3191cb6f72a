import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { readPublished } from '../../src/examples/index-store.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { openForTest, testConformance, type Implementation } from './conformance.js';
import { publishSmallIndex } from './small-index.js';
import { onCircle } from './unit-vectors.js';

const opened = new Set<Neighbours>();
const folders: string[] = [];
afterEach(async () => {
  await Promise.all([...opened].map((neighbours) => neighbours.close()));
  opened.clear();
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

const embedded = (search: 'auto' | 'exact'): Implementation => ({
  name: `the embedded index, ${search === 'auto' ? 'by its graph' : 'by exact search'}`,
  open: async (examples) => {
    const folder = await mkdtemp(join(tmpdir(), 'nearvote-conformance-'));
    folders.push(folder);
    const root = join(folder, 'small');
    await publishSmallIndex({
      root,
      embeddings: onCircle(examples.map(([degrees]) => degrees)),
      examples: examples.map(([, example]) => example),
    });
    return openForTest(
      async () =>
        openIndexOwner({ ...(await readPublished(root)), ...{ search, threads: 1, access: 'write' } }),
      opened,
    );
  },
});

testConformance(embedded('auto'));
testConformance(embedded('exact'));
