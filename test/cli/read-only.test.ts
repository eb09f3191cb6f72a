import { execFile } from 'node:child_process';
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadHnswModule } from '../../src/neighbours/hnsw.js';
import { editManifest } from '../neighbours/small-index.js';
import { cli } from './nearvote.js';
import { createWorkplace, spawnServed } from './served.js';

const run = promisify(execFile);
const hnswLoads = (await loadHnswModule()) !== undefined;
/** Permissions do not hold root back: there the command runs as nobody, who owns nothing here. */
const asNobody =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
const workplace = await createWorkplace();
const command = [...asNobody, process.execPath, cli];

async function setModes(folder: string, mode: { readonly folder: number; readonly file: number }) {
  // A folder is opened before what it holds and closed after it.
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await setModes(path, mode);
    else await chmod(path, mode.file);
  }
  await chmod(folder, mode.folder);
}

describe.skipIf(process.platform !== 'linux')('where nothing can be written', () => {
  let env: Record<string, string>;
  let before: string[];
  const files = () => readdir(workplace.folder, { recursive: true });

  beforeAll(async () => {
    const { folder, index, red } = workplace;
    await writeFile(join(folder, 'red.png'), red);
    // It says that it has a graph, which is then derived from the embeddings.
    await editManifest(join(index, 'v1'), (manifest) => {
      Object.assign(manifest['files'] as object, {
        'vectors.hnsw': { sha256: '0'.repeat(64), bytes: 1 },
      });
    });
    await setModes(folder, { folder: 0o555, file: 0o444 });
    env = { TMPDIR: folder, HOME: folder };
    before = await files();
  });
  afterAll(() => setModes(workplace.folder, { folder: 0o755, file: 0o644 }));

  it('really cannot be written', async () => {
    const [program, ...args] = [...asNobody, 'touch', join(workplace.index, 'v1', 'probe')];
    await expect(run(program, args)).rejects.toThrow(/Permission denied/);
  });

  it('serves an index, its graph held in memory', async () => {
    const served = await spawnServed(workplace, { through: [...command, 'serve'], env });
    expect(await (await served.classify()).json()).toMatchObject({ label: 'red' });
    expect(served.line).toContain(hnswLoads ? 'hnsw search' : 'exact search');
    expect(await files()).toEqual(before);
  });

  it('classifies files', async () => {
    const { folder, index, models } = workplace;
    const [program, ...args] = [...command, 'classify', '--json', '--k', '1'];
    const { stdout } = await run(
      program,
      [...args, '--index', index, '--models', models, join(folder, 'red.png')],
      { env: { ...process.env, ...env } },
    );
    expect(JSON.parse(stdout)).toMatchObject({ decision: { label: 'red' } });
    expect(await files()).toEqual(before);
  });
});
