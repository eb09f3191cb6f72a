import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { expectByHand } from '../add/foreign-network.js';
import { sha256 } from './local-hub.js';
import { filesBelow, holdHalf, repositoryOf, scene, whenHalfIsHere } from './scene.js';

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

describe('a download', () => {
  it('goes on where the connection was cut, and asks for the rest alone', async () => {
    const files = repositoryOf('convnext');
    const model = files['onnx/model.onnx'] as Uint8Array;
    const { pull, hub, dir } = await scene(files);
    const cut = holdHalf(hub, model);
    await pull({ progress: whenHalfIsHere(model, cut) });
    await expectByHand(dir);
    expect(hub.seen('storage', '?signature=1').map(({ range }) => range)).toEqual([
      undefined,
      `bytes=${model.length >> 1}-`,
    ]);
  });

  it('is refused when its bytes have another digest, and neither they nor an encoder are kept', async () => {
    const files = repositoryOf('convnext');
    const { pull, hub, cache, out } = await scene();
    hub.put(files, { listedAs: { 'onnx/model.onnx': { oid: 'a'.repeat(64) } } });
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('they are not kept') as string,
    });
    expect(existsSync(out)).toBe(false);
    expect(await filesBelow(cache)).not.toContainEqual(expect.stringMatching(/a{64}/));
  });

  it('that a killed process began is gone on with by the next', async () => {
    const files = repositoryOf('convnext');
    const model = files['onnx/model.onnx'] as Uint8Array;
    const { pull, hub, dir, cache, out } = await scene(files);
    holdHalf(hub, model);
    const child: ChildProcess = spawn(
      process.execPath,
      [main, 'encoder', 'pull', 'owner/tiny', '--out', out],
      {
        env: { ...process.env, HF_ENDPOINT: hub.url, HF_HUB_CACHE: cache },
        stdio: 'ignore',
      },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    const part = join(cache, 'models--owner--tiny', 'blobs', `${sha256(model)}.incomplete`);
    await vi.waitFor(async () => expect((await stat(part)).size).toBe(model.length >> 1), {
      timeout: 20_000,
    });
    const died = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
    child.kill('SIGKILL');
    expect(await died).toBe('SIGKILL');
    expect(existsSync(out)).toBe(false);
    await pull();
    await expectByHand(dir);
    expect(hub.seen('storage', '').map(({ range }) => range)).toEqual([
      undefined,
      `bytes=${model.length >> 1}-`,
    ]);
  });

  it('begins again where what an earlier one left was something else', async () => {
    const files = repositoryOf('convnext');
    const model = files['onnx/model.onnx'] as Uint8Array;
    const { pull, hub, dir, cache } = await scene(files);
    const blobs = join(cache, 'models--owner--tiny', 'blobs');
    await mkdir(blobs, { recursive: true });
    await writeFile(join(blobs, `${sha256(model)}.incomplete`), 'not the beginning of that');
    await pull();
    await expectByHand(dir);
    expect(hub.seen('storage', '').map(({ range }) => range)).toEqual(['bytes=25-', undefined]);
  });

  it('begins again where the host sends the whole and not the rest', async () => {
    const files = repositoryOf('convnext');
    const model = files['onnx/model.onnx'] as Uint8Array;
    const { pull, hub, dir } = await scene(files);
    const cut = holdHalf(hub, model);
    hub.answerFirst('storage', (request, response) => {
      if (request.headers.range === undefined) return false;
      response.writeHead(200, { 'content-length': model.length }).end(model);
      return true;
    });
    await pull({ progress: whenHalfIsHere(model, cut) });
    await expectByHand(dir);
  });

  it('that stands still is given up after the time that is allowed, and what came stays for the next', async () => {
    const files = repositoryOf('convnext');
    const model = files['onnx/model.onnx'] as Uint8Array;
    const { pull, hub, cache, out } = await scene(files);
    holdHalf(hub, model);
    hub.answerFirst('storage', () => true);
    await expect(pull({}, { timeoutMs: 300, attempts: 2 })).rejects.toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringContaining(
        'silent, or all but silent, for 0.3 seconds (HF_HUB_DOWNLOAD_TIMEOUT)',
      ) as string,
    });
    expect(existsSync(out)).toBe(false);
    const part = join(cache, 'models--owner--tiny', 'blobs', `${sha256(model)}.incomplete`);
    expect(await readFile(part)).toEqual(Buffer.from(model.subarray(0, model.length >> 1)));
  });

  it('that comes byte by byte is given up as one that stands still', async () => {
    const { pull, hub } = await scene(repositoryOf('convnext'));
    hub.answerFirst('storage', (_request, response) => {
      const drip = setInterval(() => response.write('x'), 5);
      response.on('close', () => clearInterval(drip));
      return true;
    });
    await expect(pull({}, { timeoutMs: 300, attempts: 2 })).rejects.toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringContaining('all but silent') as string,
    });
  });

  it('of which every connection brings a byte is given up as one that is lost', async () => {
    const { pull, hub } = await scene(repositoryOf('convnext'));
    hub.answerFirst('storage', (_request, response) => {
      response.write('x', () => response.destroy());
      return true;
    });
    await expect(pull()).rejects.toMatchObject({ code: 'hub_unreachable' });
    expect(hub.seen('storage', '').length).toBe(3);
  });

  it('never goes on with a link that somebody left in its place', async () => {
    const files = repositoryOf('convnext');
    const { pull, cache, dir } = await scene(files);
    const blobs = join(cache, 'models--owner--tiny', 'blobs');
    await mkdir(blobs, { recursive: true });
    await writeFile(join(dir, 'mine'), '');
    const sha = sha256(files['onnx/model.onnx'] as Uint8Array);
    await symlink(join(dir, 'mine'), join(blobs, `${sha}.incomplete`));
    await expect(pull()).rejects.toMatchObject({ code: 'output_unwritable' });
    expect(await readFile(join(dir, 'mine'), 'utf8')).toBe('');
  });

  it.skipIf(process.getuid?.() !== 0)('for which the disk is too small says so at once', async () => {
    const files = repositoryOf('convnext');
    const { pull, hub, cache } = await scene(files);
    const blobs = join(cache, 'models--owner--tiny', 'blobs');
    await mkdir(blobs, { recursive: true });
    const part = join(blobs, `${sha256(files['onnx/model.onnx'] as Uint8Array)}.incomplete`);
    // As /dev/full, on which no byte has room.
    execFileSync('mknod', [part, 'c', '1', '7']);
    await expect(pull()).rejects.toMatchObject({
      code: 'output_unwritable',
      message: expect.stringContaining('ENOSPC') as string,
    });
    expect(hub.seen('storage', '').length).toBe(1);
  });

  it('asks the hub for a new address where the storage refuses an old one', async () => {
    const { pull, hub, dir } = await scene(repositoryOf('convnext'));
    let refusals = 2;
    hub.answerFirst('storage', (_request, response) => {
      if (refusals-- <= 0) return false;
      response.writeHead(403).end();
      return true;
    });
    await pull();
    await expectByHand(dir);
    expect(hub.seen('hub', '/onnx/model.onnx')).toHaveLength(3);
  });
});

describe('a file that is not what the hub lists', () => {
  it.each([
    ['announced as 10 TB', { 'content-length': String(10 * 2 ** 40) }],
    ['sent without a length, and longer', { 'transfer-encoding': 'chunked' }],
  ])('is refused: %s', async (_, headers) => {
    const files = repositoryOf('convnext');
    const model = files['onnx/model.onnx'] as Uint8Array;
    const { pull, hub, cache, out } = await scene(files);
    hub.answerFirst('storage', (_request, response) => {
      response.writeHead(200, headers);
      response.write(model);
      response.write('and more');
      return true;
    });
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(
        /Expected \d+ bytes of onnx\/model\.onnx, as the hub lists it/,
      ) as string,
    });
    expect(existsSync(out)).toBe(false);
    expect((await filesBelow(cache)).filter((name) => name.includes(sha256(model)))).toEqual([]);
  });

  it('is not begun where it is listed with more than a model may have', async () => {
    const { pull, hub } = await scene();
    hub.put(repositoryOf('convnext'), { listedAs: { 'onnx/model.onnx': { size: 10 * 2 ** 40 } } });
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('less than 2 GiB') as string,
    });
    expect(hub.seen('storage', '')).toEqual([]);
  });
});
