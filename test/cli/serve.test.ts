import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { decisionSchema, readySchema } from '../../src/server/schemas.js';
import { nearvote, type Ran } from './nearvote.js';
import { createWorkplace, startServed, type Served } from './served.js';

const workplace = await createWorkplace();
const { folder, index, models } = workplace;

const serve = (...flags: string[]): Promise<Served> =>
  startServed(workplace, '--log-level', 'info', ...flags);

/** Runs to its end, which it is expected to reach by itself. */
const run = (...flags: string[]): Promise<Ran> =>
  nearvote('serve', '--index', index, '--models', models, '--port', '0', '--workers', '1', ...flags);

async function listen(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/** How a request that names this host is answered. */
async function statusFor(url: string, host: string): Promise<number | undefined> {
  const [answer] = (await once(get(`${url}/healthz`, { headers: { host } }), 'response')) as [
    IncomingMessage,
  ];
  answer.resume();
  return answer.statusCode;
}

describe('nearvote serve', () => {
  it.each([
    ['only its own', [], [200, 421, 421]],
    ['those of a list', ['--allowed-hosts', 'a.example, B.example'], [421, 200, 421]],
    ['any', ['--allowed-hosts', '*'], [200, 200, 200]],
  ])('on a loopback address answers to %s hosts where told %j', async (_which, flags, statuses) => {
    const { url } = await serve(...flags);
    const hosts = ['localhost', 'b.example:80', 'attacker.example'];
    expect(await Promise.all(hosts.map((host) => statusFor(url, host)))).toEqual(statuses);
  });

  it('counts the examples as they are after the changes since the version', async () => {
    const taught = join(folder, 'taught');
    await cp(index, taught, { recursive: true });
    expect(await nearvote('index', 'delete', 'red/0.png', '--index', taught)).toMatchObject({ code: 0 });
    const { line } = await startServed({ ...workplace, index: taught });
    expect(line).toContain(' 2 examples, exact search');
  });

  it('says in a line each what it starts with, and where it is ready and with what, and classifies with the shipped encoder', async () => {
    const log = join(folder, 'decisions.jsonl');
    const served = await serve('--decision-log', log, '--expose-sources');
    const { child, line, url, stderr, exited } = served;
    expect(served.lines[0]).toMatch(
      /^nearvote is starting with index \S+colours, version v1, encoder cifar10-compact \S+$/,
    );
    expect(line).toMatch(
      /^nearvote is ready on http:\/\/127\.0\.0\.1:\d+ as process \d+ with index colours v1, encoder cifar10-compact \S+ on onnxruntime, 3 examples, exact search, after \d+\.\d\d s$/,
    );
    const ready = readySchema.parse(await (await fetch(`${url}/readyz`)).json());
    expect(ready).toMatchObject({ index: { examples: 3 }, encoder: { dimension: 256 } });
    const decision = decisionSchema.parse(await (await served.classify()).json());
    expect(decision).toMatchObject({
      label: 'red',
      confidence: 1,
      index: { name: 'colours', version: 'v1' },
    });
    // The very image is in the index.
    expect(decision.neighbours).toHaveLength(1);
    expect(decision.neighbours[0]).toMatchObject({ id: 'red/0.png', source: 'red/0.png' });
    expect(decision.neighbours[0]?.similarity).toBeCloseTo(1, 4);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('nearvote_search_exact{index="colours"} 1');
    expect(metrics).toContain('nearvote_batch_size_count 1');

    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    expect(JSON.parse(await readFile(log, 'utf8'))).toMatchObject({ id: decision.id, label: 'red' });
    expect(stderr().match(/search is exact/g)).toHaveLength(1);
    expect(stderr()).toContain('"route":"/classify"');
  });

  it('answers probes while encoder and index still load', async () => {
    const { server, port } = await listen();
    server.close();
    await once(server, 'close');
    const serving = serve('--port', String(port));
    const seen: number[] = [];
    while (seen.at(-1) !== 200) {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      if (answer !== undefined) seen.push(answer.status);
    }
    expect(seen[0]).toBe(503);
    const { child, exited } = await serving;
    child.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
  });

  it('answers requests in flight before it exits', async () => {
    const served = await serve('--log-level', 'silent');
    const { child, exited } = served;
    const uploads = await Promise.all(Array.from({ length: 20 }, () => served.beginUpload()));
    // They have arrived when they are counted; the scrape itself is one more.
    await expect.poll(() => served.metric('nearvote_inflight_requests'), { timeout: 15_000 }).toBe(21);
    child.kill('SIGTERM');
    const statuses = await Promise.all(uploads.map(async (end) => (await end()).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await exited).toEqual([0, null]);
  });

  it('is not ready while it stops, and exits at once on a second signal', async () => {
    const served = await serve('--drain', '1m', '--grace', '2m');
    const { child, url, exited } = served;
    child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(503);
    // What still comes in is still answered.
    expect((await served.classify()).status).toBe(200);
    child.kill('SIGTERM');
    expect(await exited).toEqual([1, null]);
  });

  it('fails with 1 where it cannot start, and says why', async () => {
    const { server, port } = await listen();
    const taken = await run('--port', String(port));
    expect(taken.code).toBe(1);
    expect(taken.stderr).toMatch(
      new RegExp(
        `127\\.0\\.0\\.1:${port} but that port is in use; --port names another.*\\[address_unavailable\\]`,
      ),
    );
    server.close();

    const missing = await run('--index', join(folder, 'nothing'));
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/nearvote build .*\[index_missing\]/);

    const noEncoder = await run('--models', folder);
    expect(noEncoder.code).toBe(1);
    expect(noEncoder.stderr).toContain('[encoder_missing]');

    await writeFile(join(folder, 'file'), '');
    const noLog = await run('--decision-log', join(folder, 'file', 'log'));
    expect(noLog.code).toBe(1);
    expect(noLog.stderr).toContain('[output_unwritable]');
  });

  it('fails with 2 where it is used wrongly', async () => {
    expect((await run('--port', '65536')).code).toBe(2);
    const limits = await run('--max-body-bytes', '5', '--max-image-bytes', '6');
    expect(limits.code).toBe(2);
    expect(limits.stderr).toContain('--max-body-bytes to be at least --max-image-bytes');
  });
});
