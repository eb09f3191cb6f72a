import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseIndexSource, type BundleUrl, type PointerUrl } from '../../src/bundles/bundle-url.js';
import { downloadFile, readSmall } from '../../src/bundles/download.js';
import { sha256Of } from './bundle-host.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-s3-'));
const rules = {
  ...{ allowHttp: false, s3PathStyle: true, mostBytes: 5_000_000, stallMs: 5_000, pauseMs: 1, attempts: 2 },
};
const { signal } = new AbortController();
const content = Buffer.alloc(3_000_000, 'a bundle');
const source = (text: string): BundleUrl | PointerUrl => parseIndexSource(text, rules);
const bundle = (key = 'a folder/p.tar', sha256 = sha256Of(content)): BundleUrl =>
  source(`s3://bundles/${key}#sha256:${sha256}`) as BundleUrl;
const pointer = source('s3://bundles/p.pointer') as PointerUrl;
let client: S3Client;
const put = (key: string, body: Buffer | string): Promise<unknown> =>
  client.send(new PutObjectCommand({ Bucket: 'bundles', Key: key, Body: body }));

/** A server that speaks S3's protocol, as a process of its own. */
beforeAll(async () => {
  const cli = createRequire(import.meta.url)
    .resolve('@20minutes/s3rver')
    .replace(/s3rver\.js$/, 'cli.js');
  const run = `require(${JSON.stringify(cli)}).parse(process.argv.slice(1), { from: 'user' })`;
  const flags = ['--directory', join(base, 'store'), '--port', '0', '--address', '127.0.0.1', '--silent'];
  // It knows no signature of what the client asks to create a bucket.
  flags.push('--configure-bucket', 'bundles');
  const server = spawn(process.execPath, ['-e', run, '--', ...flags]);
  afterAll(async () => {
    client.destroy();
    server.kill('SIGKILL');
    await once(server, 'exit');
    await rm(base, { recursive: true });
  });
  const lines = createInterface(server.stdout);
  let port = '';
  for await (const line of lines) {
    port = /:(\d+)/.exec(line)?.[1] ?? '';
    if (port !== '') break;
  }
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${port}`);
  vi.stubEnv('AWS_REGION', 'us-east-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'S3RVER');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'S3RVER');
  client = new S3Client({ forcePathStyle: true });
  await put('a folder/p.tar', content);
  await put('p.pointer', 'one');
});
afterAll(() => vi.unstubAllEnvs());

describe('an s3 URL', () => {
  it('is fetched whole, and from where an earlier try ended', async () => {
    const to = join(base, 'whole');
    await downloadFile({ source: bundle(), to, rules, signal });
    expect((await readFile(to)).equals(content)).toBe(true);
    await truncate(to, 1_000_000);
    await downloadFile({ source: bundle(), to, rules, signal });
    expect((await readFile(to)).equals(content)).toBe(true);
  });

  it('is read again only where it has changed', async () => {
    const read = (etag?: string) => readSmall(pointer, { mostBytes: 100, etag, rules, signal });
    const first = await read();
    expect(first?.text).toBe('one');
    expect(await read(first?.etag)).toBeUndefined();
    await put('p.pointer', 'two');
    expect(await read(first?.etag)).toMatchObject({ text: 'two' });
  });

  it('that leads to nothing, or to something else, is refused', async () => {
    const to = join(base, 'refused');
    await expect(downloadFile({ source: bundle('gone.tar'), to, rules, signal })).rejects.toMatchObject({
      code: 'bundle_refused',
      message: expect.stringContaining('s3://bundles/gone.tar but there is none (404)') as string,
    });
    const other = bundle('a folder/p.tar', 'a'.repeat(64));
    await expect(downloadFile({ source: other, to, rules, signal })).rejects.toMatchObject({
      code: 'bundle_invalid',
    });
    const elsewhere = source('s3://nobody/p.pointer');
    await expect(readSmall(elsewhere, { mostBytes: 100, rules, signal })).rejects.toMatchObject({
      code: 'bundle_refused',
    });
  });
});
