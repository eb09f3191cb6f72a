import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hubSettings, parseModelName } from '../../../src/encoder/hub/settings.js';
import { nobody } from './local-hub.js';
import { filesBelow, repositoryOf, scene } from './scene.js';

describe('a hub that does not give what it is asked for', () => {
  it.each([
    ['no token', undefined],
    ['a token of somebody else', 'hf_other'],
  ])('refuses a gated repository to %s, and the page to accept its terms on is named', async (_, token) => {
    const { pull, hub, out } = await scene();
    hub.put(repositoryOf('convnext'), { gated: true });
    await expect(pull({}, { token })).rejects.toMatchObject({
      code: 'hub_refused',
      message: expect.stringMatching(
        new RegExp(`${hub.url}/owner/tiny .*accept the terms on that page, and set HF_TOKEN`),
      ) as string,
    });
    expect(existsSync(out)).toBe(false);
  });

  it('gives a gated repository to whom it was granted', async () => {
    const { pull, hub } = await scene();
    hub.put(repositoryOf('convnext'), { gated: true });
    expect((await pull({}, { token: 'allowed-by-a-mirror' })).manifest.name).toBe('tiny');
  });

  it.each([
    ['owner/nothing', 'set HF_TOKEN where it is a private one'],
    ['owner/tiny@nothing', 'its branches and tags are there'],
  ])('has no %s', async (model, message) => {
    const { pull } = await scene(repositoryOf('convnext'));
    await expect(pull({ model })).rejects.toMatchObject({
      code: 'hub_refused',
      message: expect.stringContaining(message) as string,
    });
  });

  it('answers with HTML', async () => {
    const { pull, hub, cache } = await scene(repositoryOf('convnext'));
    hub.answerFirst('hub', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Log in</h1>');
      return true;
    });
    await expect(pull()).rejects.toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringMatching(/text\/html.*proxy/) as string,
    });
    expect(existsSync(cache)).toBe(false);
  });

  it.each([
    ['no JSON', 'that is not JSON', 'JSON'],
    ['no commit', '{"sha":"main"}', 'sha'],
  ])('answers with %s', async (_, body, message) => {
    const { pull, hub } = await scene(repositoryOf('convnext'));
    hub.answerFirst('hub', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
      return true;
    });
    await expect(pull()).rejects.toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringContaining(message) as string,
    });
  });

  it.each(['api', 'resolve'])('redirects %s in a ring', async (part) => {
    const { pull, hub } = await scene(repositoryOf('convnext'));
    hub.answerFirst('hub', (request, response) => {
      if (request.url?.includes(part) !== true) return false;
      response.writeHead(302, { location: request.url }).end();
      return true;
    });
    await expect(pull()).rejects.toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringContaining('redirect count exceeded') as string,
    });
    // fetch gives up after twenty, and is not asked again.
    expect(hub.requests.filter(({ path }) => path.includes(part)).length).toBeLessThan(30);
  });

  it.each(['../../outside', '/etc/passwd', 'onnx/../../x', 'a\\b'])('lists a file as %s', async (path) => {
    const { pull, hub, dir, out } = await scene();
    hub.put(repositoryOf('convnext'), { listedAs: { 'config.json': { path } } });
    await expect(pull()).rejects.toMatchObject({ code: 'hub_unreachable' });
    expect(existsSync(out)).toBe(false);
    expect(await filesBelow(dir)).toEqual([]);
  });

  it('is offline, and what to put where is said', async () => {
    const { pull, hub, cache, out } = await scene(repositoryOf('convnext'));
    await expect(pull({}, { offline: true })).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringMatching(
        new RegExp(
          `${cache}/models--owner--tiny.*nearvote encoder add, with the size, mean and std that preprocessor_config.json`,
        ),
      ) as string,
    });
    await expect(pull({}, { endpoint: await nobody() })).rejects.toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringMatching(/ECONNREFUSED.*copy the folder/) as string,
    });
    expect(hub.requests).toEqual([]);
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    ['onnx/model.onnx', 'encoder_missing'],
    ['preprocessor_config.json', 'encoder_unsupported'],
    ['config.json', 'encoder_unsupported'],
  ])('is offline, and the cache lacks %s, which the repository may have', async (path, code) => {
    const { pull, cache } = await scene(repositoryOf('convnext'));
    await pull();
    const kept = join(cache, 'models--owner--tiny', 'snapshots', '1'.repeat(40), path);
    await rm(kept);
    await expect(pull({ force: true }, { offline: true })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(
        /Only what the cache holds .* was looked at, because HF_HUB_OFFLINE is set$/,
      ) as string,
    });
  });

  it('sends the next page of a listing from another host, which is not shown the token', async () => {
    const { pull, hub } = await scene(repositoryOf('convnext'));
    const { url, requests } = await scene().then((other) => other.hub);
    hub.answerFirst('hub', (request, response) => {
      if (request.url?.includes('/tree/') === true) response.setHeader('link', `<${url}/next>; rel="next"`);
      return false;
    });
    await expect(pull({}, { token: 'allowed-by-a-mirror' })).rejects.toMatchObject({ code: 'hub_refused' });
    expect(requests.map(({ path, authorization }) => [path, authorization])).toEqual([['/next', undefined]]);
  });
});

describe('the name of a model', () => {
  it.each([
    ['onnx-community/dinov2-small', 'onnx-community/dinov2-small', 'main'],
    ['a/b.c_d@refs/pr/1', 'a/b.c_d', 'refs/pr/1'],
    [`a/b@${'0'.repeat(40)}`, 'a/b', '0'.repeat(40)],
  ])('%s is understood', (text, repository, revision) => {
    expect(parseModelName(text)).toMatchObject({ repository, revision });
  });

  it.each([
    'a',
    'a/b/c',
    '../b',
    'a/..',
    'a/b@../../x',
    'a/b@',
    '/b',
    'a/',
    'a--b/c',
    'a/b@/x',
    'a b/c',
    'a/b@x\n',
  ])('%j is refused', (text) => {
    expect(() => parseModelName(text)).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});

describe('the variables of the hub', () => {
  it.each([
    [{ HF_HUB_CACHE: '/a', HF_HOME: '/b' }, '/a'],
    [{ HF_HOME: '/b' }, '/b/hub'],
    [{ XDG_CACHE_HOME: '/c' }, '/c/huggingface/hub'],
    [{ HF_HUB_CACHE: '', HF_HOME: '/b' }, '/b/hub'],
  ])('%j lead to %s', (environment, cacheDir) => {
    expect(hubSettings(environment).cacheDir).toBe(cacheDir);
  });

  it('are those of a mirror, a token, no network and patience', () => {
    const environment = {
      HF_ENDPOINT: 'https://mirror.example/hub/',
      HF_TOKEN: 'hf_abc',
      HF_HUB_OFFLINE: 'yes',
      HF_HUB_DOWNLOAD_TIMEOUT: '7',
    };
    expect(hubSettings(environment)).toMatchObject({
      endpoint: 'https://mirror.example/hub',
      token: 'hf_abc',
      offline: true,
      timeoutMs: 7000,
    });
  });

  it.each(['api_org_abc', 'eyJhbGciOiJIUzI1NiJ9.e30.Zm9v', ' hf_abc\n'])('take the token %j', (token) => {
    expect(hubSettings({ HF_TOKEN: token }).token).toBe(token.trim());
  });

  it.each([
    { HF_ENDPOINT: 'file:///etc' },
    { HF_ENDPOINT: 'https://me:secret@hub.example' },
    { HF_TOKEN: 'secret word' },
    { HF_HUB_DOWNLOAD_TIMEOUT: 'soon' },
  ])('%j are refused without being repeated', (environment) => {
    const [[name, value]] = Object.entries(environment) as [[string, string]];
    expect(() => hubSettings(environment)).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
    expect(() => hubSettings(environment)).toThrow(name);
    expect(() => hubSettings(environment)).not.toThrow(value);
  });
});
