import { describe, expect, it } from 'vitest';
import { filesBelow, repositoryOf, scene } from './scene.js';

interface Answer {
  readonly to: string;
  readonly body: string;
  /** Every page names itself as the next. */
  readonly isEndless?: boolean;
}

/** A hub that answers what is asked of its API with this, and what it says to whoever pulls from it. */
async function refusalOf({ to, body, isEndless = false }: Answer) {
  const { pull, hub, dir } = await scene(repositoryOf('convnext'));
  hub.answerFirst('hub', (request, response) => {
    if (request.url?.includes(to) !== true) return false;
    const link = { link: `<${hub.url}${request.url}>; rel="next"` };
    response.writeHead(200, { 'content-type': 'application/json', ...(isEndless && link) }).end(body);
    return true;
  });
  const error: unknown = await pull().catch((thrown: unknown) => thrown);
  return { error, left: await filesBelow(dir), requests: hub.requests.length };
}

describe('a hub that wants to hurt', () => {
  it.each([
    ['null for a model', { to: '/revision/', body: 'null' }],
    ['null for a listing', { to: '/tree/', body: 'null' }],
    ['an object for a listing', { to: '/tree/', body: '{"type":"file"}' }],
    ['a listing of nothing at all', { to: '/tree/', body: '[null]' }],
  ])('answers with %s, and is said not to be a hub', async (_, answer) => {
    const { error, left } = await refusalOf(answer);
    expect(error).toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringContaining('to answer as the hub does') as string,
    });
    expect(left).toEqual([]);
  });

  it('lists pages without an entry for ever, and is left', async () => {
    const { error, requests } = await refusalOf({ to: '/tree/', body: '[]', isEndless: true });
    expect(error).toMatchObject({
      code: 'hub_unreachable',
      message: expect.stringContaining('pages') as string,
    });
    expect(requests).toBeLessThan(200);
  });

  it('names as the base of a model an address that is no repository, and is not asked for it', async () => {
    const files = {
      ...repositoryOf('convnext'),
      'README.md': '---\nbase_model: ../../settings/tokens\n---\n',
    };
    const { pull, hub } = await scene(files);
    expect((await pull()).manifest.licence).toBe('unknown');
    expect(hub.requests.filter(({ path }) => path.includes('settings'))).toEqual([]);
  });

  it('divides by a deviation of 0, which is said before the model is downloaded', async () => {
    const files = repositoryOf('convnext');
    const said = JSON.parse(String(files['preprocessor_config.json'])) as object;
    const { pull, hub } = await scene({
      ...files,
      'preprocessor_config.json': JSON.stringify({ ...said, image_std: [0.5, 0, 0.5] }),
    });
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('image_std') as string,
    });
    expect(hub.seen('hub', '.onnx')).toEqual([]);
  });
});
