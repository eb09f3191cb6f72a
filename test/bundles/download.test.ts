import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BundleUrl } from '../../src/bundles/bundle-url.js';
import { parseDigestUrl } from '../../src/bundles/bundle-url.js';
import { downloadFile, readSmall, type FetchRules } from '../../src/bundles/download.js';
import { cutOff, endless, openBundleHost, sha256Of, stall } from './bundle-host.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-download-'));
const host = await openBundleHost();
afterAll(async () => {
  await host.close();
  await rm(base, { recursive: true });
});

const content = randomBytes(1_000_000);
const rules: FetchRules = {
  ...{ allowHttp: false, s3PathStyle: false, mostBytes: 2_000_000, stallMs: 10_000, pauseMs: 1, attempts: 4 },
};
let to = '';
let made = 0;
beforeEach(() => {
  to = join(base, String(made++));
  host.asked.length = 0;
  host.files.set('/a.tar', content);
});
afterEach(() => {
  host.faults.clear();
});
const source = (path = '/a.tar', sha256 = sha256Of(content)): BundleUrl =>
  parseDigestUrl(`${host.url}${path}#sha256:${sha256}`, rules);
const { signal } = new AbortController();
const download = (from = source(), how: Partial<FetchRules> = {}): Promise<void> =>
  downloadFile({ source: from, to, rules: { ...rules, ...how }, signal });

describe('a download', () => {
  it('brings a file by http and from a folder', async () => {
    await download();
    expect((await readFile(to)).equals(content)).toBe(true);
    const copy = join(base, 'copy.tar');
    await writeFile(copy, content);
    await rm(to);
    await download(parseDigestUrl(`${pathToFileURL(copy).href}#sha256:${sha256Of(content)}`, rules));
    expect((await readFile(to)).equals(content)).toBe(true);
  });

  it('goes on where the connection was cut, and where a killed process stopped', async () => {
    let cuts = 0;
    host.faults.set('/a.tar', (req, res, bytes) => {
      if (++cuts === 3) host.faults.clear();
      cutOff(req, res, bytes);
    });
    await download();
    expect((await readFile(to)).equals(content)).toBe(true);
    expect(host.asked[0]).toBe('/a.tar');
    expect(host.asked.slice(1).every((one) => one.startsWith('/a.tar from '))).toBe(true);

    await writeFile(to, content.subarray(0, 400_000));
    host.asked.length = 0;
    await download();
    expect(host.asked).toEqual(['/a.tar from 400000']);
    host.asked.length = 0;
    // Killed after the last byte.
    await download();
    expect(host.asked).toEqual([]);
  });

  it('begins again where what lay there was something else, or longer, or the host knows no ranges', async () => {
    for (const left of [randomBytes(400_000), randomBytes(1_500_000)]) {
      await writeFile(to, left);
      await download();
      expect((await readFile(to)).equals(content)).toBe(true);
    }
    await writeFile(to, content.subarray(0, 400_000));
    host.faults.set('/a.tar', (_req, res, bytes) => void res.end(bytes));
    await download();
    expect((await readFile(to)).equals(content)).toBe(true);
  });

  it('keeps nothing of a flipped bit, of another file, or of one that is too large', async () => {
    const flipped = Buffer.from(content);
    flipped.writeUInt8(flipped.readUInt8(500_000) ^ 1, 500_000);
    host.files.set('/flipped.tar', flipped);
    await expect(download(source('/flipped.tar'))).rejects.toMatchObject({
      code: 'bundle_invalid',
      message: expect.stringContaining(`but it has ${sha256Of(flipped)}; it is not kept`) as string,
    });
    expect(existsSync(to)).toBe(false);
    await expect(download(source(), { mostBytes: 999_999 })).rejects.toThrow(
      '--max-bundle-bytes allows more',
    );
    expect(existsSync(to)).toBe(false);
    // Announced or not.
    host.faults.set('/a.tar', endless);
    await expect(download()).rejects.toMatchObject({ code: 'bundle_invalid' });
    expect(existsSync(to)).toBe(false);
    expect(host.asked).toHaveLength(3);
  });

  it('gives a host up that is silent, and comes back to it', async () => {
    const hasty = { stallMs: 200 };
    let times = 0;
    host.faults.set('/a.tar', (req, res, bytes) => {
      if (++times === 2) host.faults.clear();
      stall(req, res, bytes);
    });
    await download(source(), hasty);
    expect(host.asked).toEqual(['/a.tar', '/a.tar from 10', '/a.tar from 10']);
    await rm(to);
    host.faults.set('/a.tar', stall);
    await expect(download(source(), hasty)).rejects.toMatchObject({
      code: 'bundle_unreachable',
      message: expect.stringContaining('silent, or all but silent, for 0.2 seconds') as string,
    });
    host.faults.set('/a.tar', () => undefined);
    await expect(download(source(), hasty)).rejects.toMatchObject({ code: 'bundle_unreachable' });
  });

  it('tries again what may be otherwise the next time, and nothing else', async () => {
    host.faults.set('/a.tar', (_req, res) => {
      host.faults.clear();
      res.writeHead(503).end();
    });
    await download();
    await rm(to);
    host.asked.length = 0;
    await expect(download(source('/gone.tar'))).rejects.toMatchObject({ code: 'bundle_refused' });
    expect(host.asked).toEqual(['/gone.tar']);
    const closed = await openBundleHost();
    await closed.close();
    const nobody = parseDigestUrl(`${closed.url}/a.tar#sha256:${sha256Of(content)}`, rules);
    await expect(download(nobody)).rejects.toMatchObject({
      code: 'bundle_unreachable',
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  it('follows few redirects, and none to http elsewhere or to a file', async () => {
    const lead = (path: string, location: string) =>
      host.faults.set(path, (_req, res) => void res.writeHead(302, { location }).end());
    lead('/to', '/a.tar');
    await download(source('/to'));
    await rm(to);
    lead('/round', '/round');
    await expect(download(source('/round'))).rejects.toMatchObject({ code: 'bundle_refused' });
    expect(host.asked.filter((path) => path === '/round')).toHaveLength(6);
    lead('/file', 'file:///etc/passwd');
    await expect(download(source('/file'))).rejects.toMatchObject({ code: 'bundle_refused' });
    lead('/plain', 'http://elsewhere.example/a.tar');
    await expect(download(source('/plain'))).rejects.toThrow('Expected https');
  });

  it('follows no redirect that names a password, and shows none', async () => {
    const location = host.url.replace('//', '//me:hidden@');
    host.faults.set(
      '/secret',
      (_req, res) => void res.writeHead(302, { location: `${location}/a.tar?x=hidden` }).end(),
    );
    const refused = await download(source('/secret')).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'bundle_refused' });
    expect(inspect(refused)).not.toContain('hidden');
  });

  it('takes no length and no part for more than it is', async () => {
    const compressed = gzipSync(content);
    const gzip = { 'content-encoding': 'gzip', etag: '"one"' };
    let times = 0;
    // Cut off, and a part of the compressed stream after that.
    host.faults.set('/a.tar', (req, res) => {
      times++;
      if (req.headers.range === undefined && times > 1) return void res.writeHead(200, gzip).end(compressed);
      if (times > 1) {
        const range = { 'content-range': `bytes 500000-999999/${compressed.length}`, ...gzip };
        return void res.writeHead(206, range).end(compressed.subarray(500_000));
      }
      res.writeHead(200, { ...gzip, 'content-length': compressed.length });
      res.write(compressed.subarray(0, 500_000), () => setImmediate(() => res.destroy()));
    });
    await download();
    expect((await readFile(to)).equals(content)).toBe(true);
    expect(times).toBe(3);
    await rm(to);
    for (const [length, code] of [
      [500_000, 'bundle_invalid'],
      [1_500_000, 'bundle_unreachable'],
      [9_000_000_000, 'bundle_invalid'],
    ] as const) {
      host.faults.set('/a.tar', (req, res, bytes) => {
        // Node itself would refuse to send another length.
        const { socket } = req;
        socket.end(
          Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`), bytes]),
        );
        res.on('error', () => undefined);
      });
      await expect(download(source(), { attempts: 1 }), String(length)).rejects.toMatchObject({ code });
      await rm(to, { force: true });
    }
  });

  it('writes through no link', async () => {
    const target = join(base, 'target');
    await symlink(target, to);
    await expect(download()).rejects.toMatchObject({ code: 'output_unwritable' });
    expect(existsSync(target)).toBe(false);
  });
});

describe('a small text', () => {
  const read = (path: string, etag?: string) =>
    readSmall(
      { url: new URL(`${host.url}${path}`), shown: path },
      { mostBytes: 100, etag, rules: { ...rules, stallMs: 500 }, signal },
    );

  it('is read once, and not again while it is the same', async () => {
    host.files.set('/p', Buffer.from('one'));
    const first = await read('/p');
    expect(first?.text).toBe('one');
    expect(await read('/p', first?.etag)).toBeUndefined();
    host.files.set('/p', Buffer.from('two'));
    expect(await read('/p', first?.etag)).toMatchObject({ text: 'two' });
  });

  it('is refused where it has no end, and given up where it is silent', async () => {
    host.faults.set('/p', endless);
    await expect(read('/p')).rejects.toMatchObject({ code: 'bundle_invalid' });
    host.faults.set('/p', () => undefined);
    await expect(read('/p')).rejects.toThrow('silent for 0.5 seconds');
  });
});
