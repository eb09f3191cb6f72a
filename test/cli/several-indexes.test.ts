import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decisionSchema, readySchema, reloadSchema } from '../../src/server/schemas.js';
import { drawColour } from '../server/colour-classifier.js';
import { nearvoteIn } from './nearvote.js';
import { childrenOf, createWorkplace, soon, spawnServed, startServed, type Served } from './served.js';
import { writeSmallIndex } from './small-index.js';

const workplace = await createWorkplace();
const { folder, index: colours, models } = workplace;
const greys = join(folder, 'greys');
await writeSmallIndex({
  root: greys,
  encoderDir: join(models, 'cifar10-compact'),
  images: [
    { label: 'black', bytes: await drawColour('black', 32) },
    { label: 'a red that is grey', bytes: workplace.red },
  ],
});
await cp(join(greys, 'v1'), join(greys, 'v2'), { recursive: true });
const publishGreys = (version: string): Promise<void> => writeFile(join(greys, 'current'), `${version}\n`);

const key = 'a-key-of-the-admin-alone';
/** Colours, the default, and greys as `shades`. */
const serve = (): Promise<Served> =>
  spawnServed(workplace, {
    flags: ['--index', `shades=${greys}`, '--workers', '2'],
    env: { NEARVOTE_ADMIN_KEY: key },
  });

async function classify({ url }: Served, query: string): Promise<{ label: string; index: string }> {
  const headers = { 'content-type': 'image/png' };
  const answer = await fetch(`${url}/classify?k=1${query}`, { method: 'POST', headers, body: workplace.red });
  const { label, index } = decisionSchema.parse(await answer.json());
  return { label, index: `${index.name} ${index.version}` };
}

const reload = ({ url }: Served, query = ''): Promise<Response> =>
  fetch(`${url}/admin/reload${query}`, { method: 'POST', headers: { 'x-api-key': key } });

describe('nearvote serve with two indexes', () => {
  it('names both in its lines, shares the workers, and reloads one, all, or all but one that is broken', async () => {
    const served = await serve();
    expect(served.lines[0]).toMatch(
      /^nearvote is starting with indexes colours \(\S+colours\), version v1, encoder cifar10-compact \S+; shades \(\S+greys\), version v1, encoder cifar10-compact \S+$/,
    );
    expect(served.line).toMatch(
      /^nearvote is ready on \S+ as process \d+ with indexes colours v1, encoder cifar10-compact \S+ on onnxruntime, 3 examples, exact search; shades v1, encoder .* 2 examples, exact search, after \d+\.\d\d s$/,
    );
    // Two workers and the owners of two indexes; read through /proc.
    const processes = (): number => childrenOf(served).length;
    if (process.platform === 'linux') expect(processes()).toBe(4);
    const ready = readySchema.parse(await (await fetch(`${served.url}/readyz`)).json());
    expect(ready.index).toEqual({ name: 'colours', version: 'v1', sequence: 0, examples: 3 });
    expect(ready.indexes.map(({ name, examples }) => [name, examples])).toEqual([
      ['colours', 3],
      ['shades', 2],
    ]);
    const red = { label: 'red', index: 'colours v1' };
    expect(await classify(served, '')).toEqual(red);
    expect(await classify(served, '&index=shades')).toEqual({
      label: 'a red that is grey',
      index: 'shades v1',
    });

    await workplace.publish('v2');
    await publishGreys('v2');
    const one = await reload(served, '?index=shades');
    expect(reloadSchema.parse(await one.json()).indexes).toEqual([{ name: 'shades', version: 'v2' }]);
    expect((await classify(served, '&index=shades')).index).toBe('shades v2');
    expect(await classify(served, '')).toEqual(red);

    await publishGreys('v9');
    const broken = await reload(served);
    expect(broken.status).toBe(409);
    expect(await broken.text()).toContain('shades failed with index_missing; colours loaded');
    expect((await classify(served, '')).index).toBe('colours v2');
    expect((await classify(served, '&index=shades')).index).toBe('shades v2');
    const reloads = (name: string, result: string): Promise<number> =>
      served.metric(`nearvote_index_reloads_total{index="${name}",result="${result}"}`);
    expect([await reloads('colours', 'ok'), await reloads('colours', 'failed')]).toEqual([1, 0]);
    expect([await reloads('shades', 'ok'), await reloads('shades', 'failed')]).toEqual([1, 1]);
    expect(await served.ready()).toBe(true);
    await expect.poll(() => served.stderr(), soon).toMatch(/"index":"shades".*index_missing/);

    await workplace.publish('v1');
    await publishGreys('v1');
    served.child.kill('SIGHUP');
    await expect.poll(() => reloads('shades', 'ok'), soon).toBe(2);
    expect([(await classify(served, '')).index, (await classify(served, '&index=shades')).index]).toEqual([
      'colours v1',
      'shades v1',
    ]);
    if (process.platform === 'linux') await expect.poll(processes, soon).toBe(4);
    served.child.kill('SIGTERM');
    expect(await served.exited).toEqual([0, null]);
  });

  it.skipIf(process.platform !== 'linux')(
    'answers from one while the process of the other is replaced',
    async () => {
      await workplace.publish('v1');
      await publishGreys('v1');
      const served = await serve();
      const owner = childrenOf(served).at(-1) ?? 0;
      // Which of the two owners was started last: the one whose index does not answer.
      process.kill(owner, 'SIGSTOP');
      await expect.poll(() => served.ready(), soon).toBe(false);
      const { detail } = (await (await fetch(`${served.url}/readyz`)).json()) as { detail: string };
      const [, down] = /a process of (colours|shades) is being replaced$/.exec(detail) ?? [];
      const up = down === 'colours' ? 'shades' : 'colours';
      expect((await classify(served, `&index=${up}`)).index).toBe(`${up} v1`);
      process.kill(owner, 'SIGKILL');
      await expect.poll(() => served.ready(), soon).toBe(true);
      expect((await classify(served, `&index=${String(down)}`)).index).toBe(`${String(down)} v1`);
      expect(
        await served.metric(`nearvote_worker_restarts_total{process="index",index="${String(down)}"}`),
      ).toBe(1);
      expect(await served.metric(`nearvote_worker_restarts_total{process="index",index="${up}"}`)).toBe(0);
    },
  );

  it('is told them by a variable too', async () => {
    // What is on the command line would come first.
    const env = {
      ...{ NEARVOTE_INDEX: 'colours,shades=./greys', NEARVOTE_MODELS: 'models', NEARVOTE_PORT: '0' },
      ...{ NEARVOTE_WORKERS: '1', NEARVOTE_LOG_LEVEL: 'warn' },
    };
    const served = await spawnServed(workplace, { env, cwd: folder, fixed: [] });
    expect(served.line).toMatch(/with indexes colours v1, .*; shades v1, /);
  });

  it('does not start where one of them cannot be loaded, and says why', async () => {
    await cp(greys, join(folder, 'broken'), { recursive: true });
    await rm(join(folder, 'broken', 'v1', 'embeddings.f32'));
    const flags = ['--models', 'models', '--port', '0', '--workers', '1', '--log-level', 'warn'];
    const ran = await nearvoteIn(folder, 'serve', '--index', 'colours', '--index', 'broken', ...flags);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/broken.*embeddings\.f32.*\[index_invalid\]/);
  });

  it('is a wrong use where both have one name', async () => {
    const ran = await nearvoteIn(folder, 'serve', '--index', 'colours', '--index', 'colours=greys');
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('are both colours');
  });

  it('says of a folder with an equals sign how it is named', async () => {
    await cp(colours, join(folder, 'a=b'), { recursive: true });
    const flags = ['--models', 'models', '--port', '0', '--workers', '1'];
    const ran = await nearvoteIn(folder, 'serve', '--index', 'a=b', ...flags);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('The folder a=b is --index ./a=b [index_missing]');
    const served = await startServed({ ...workplace, index: join(folder, 'a=b') });
    expect(served.line).toContain('with index a=b v1, ');
  });
});
