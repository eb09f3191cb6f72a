import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createServerIndex, type ServerIndexOptions } from '../../src/client/server-index.js';
import type { EditRequest } from '../../src/curate/managed-index.js';
import type { LabelledFiles } from '../../src/image/dataset/labelled-files.js';

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const said = { reason: null, who: null };
const relabel: EditRequest = { kind: 'edit', acts: [{ kind: 'relabel', id: 'a', label: 'cat' }], ...said };
const perhaps = 'The change may have been made: nearvote index log --server http://';

interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A server of HTTP that does as it is told. */
async function serverThat(
  answer: (res: ServerResponse, asked: Asked, request: number) => void,
): Promise<{ readonly url: string; readonly asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    void buffer(req).then((body) => {
      const one = { path: req.url ?? '', headers: req.headers, body: body.toString('latin1') };
      asked.push(one);
      answer(res, one, asked.length);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function json(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const problem = (status: number, code: string, detail = `it is ${code}`): object => ({
  ...{ type: `/docs#${code}`, title: code, detail, status, code, instance: '1' },
});

const indexOf = (url: string, options: Partial<ServerIndexOptions> = {}) =>
  createServerIndex({ url, key: 'sixteen-letters!', keyName: 'NEARVOTE_ADMIN_KEY', ...options });

const edited = { sequence: 3, operation: 3, outcomes: [{ outcome: 'relabelled', id: 'a', label: 'cat' }] };

describe('a server that changes its index', () => {
  it('is told the index, the key and what is to be done, and its answer is that of a change here', async () => {
    const { url, asked } = await serverThat((res) => json(res, 200, { ...edited, more: 'than is known' }));
    const index = indexOf(url, { index: 'my photos' });
    expect(await index.change({ ...relabel, reason: 'ears' })).toEqual(edited);
    expect(asked).toMatchObject([
      { path: '/changes?index=my+photos', headers: { authorization: 'Bearer sixteen-letters!' } },
    ]);
    expect(JSON.parse(asked[0]?.body ?? '')).toEqual({
      acts: [{ kind: 'relabel', id: 'a', label: 'cat' }],
      reason: 'ears',
    });
  });

  it('is asked again where it is overloaded, for then nothing was changed', async () => {
    const { url, asked } = await serverThat((res, _asked, request) =>
      request === 1 ? json(res, 429, problem(429, 'overloaded')) : json(res, 200, edited),
    );
    expect(await indexOf(url, { retry: { pauseMs: () => 0 } }).change(relabel)).toEqual(edited);
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['refuses', 404, problem(404, 'example_missing', 'Expected an id'), 'example_missing', 'Expected an id'],
    [
      'has a code that is not known here',
      400,
      problem(400, 'new_code', 'Why'),
      'server_refused',
      'status 400, Why',
    ],
    ['wants another key', 401, problem(401, 'unauthorized'), 'unauthorized', 'its admin key is another'],
    [
      'has no admin key',
      405,
      problem(405, 'method_not_allowed', 'this was started without NEARVOTE_ADMIN_KEY'),
      'method_not_allowed',
      'started without an admin key',
    ],
    ['is older', 404, problem(404, 'not_found', 'a known route'), 'not_found', 'may be an older nearvote'],
  ])('and %s is told so, with its own code', async (_what, status, body, code, message) => {
    const { url, asked } = await serverThat((res) => json(res, status, body));
    const refused = indexOf(url).change(relabel);
    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(perhaps) as string });
    expect(asked).toHaveLength(1);
  });

  it('says which key is missing, and where one that is there belongs', async () => {
    const { url } = await serverThat((res) => json(res, 401, problem(401, 'unauthorized')));
    await expect(indexOf(url, { key: undefined }).describe()).rejects.toMatchObject({
      message: `Expected the admin key of ${url}/ in NEARVOTE_ADMIN_KEY but none is set`,
    });
    await expect(indexOf(url, { keyName: 'NEARVOTE_API_KEY' }).describe()).rejects.toMatchObject({
      message: expect.stringContaining('the key in NEARVOTE_API_KEY is not its admin key') as string,
    });
  });
});

const html = '<html>Sign in</html>';
const whole = JSON.stringify(edited);

describe('an answer to a change that never came whole', () => {
  it.each<[string, (res: ServerResponse) => void, string, boolean]>([
    [
      'a page of a proxy',
      (res) => res.writeHead(403, { 'content-type': 'text/html' }).end(html),
      'status 403 and text/html',
      false,
    ],
    [
      'a page in its place',
      (res) => res.writeHead(200, { 'content-type': 'text/html' }).end(html),
      'status 200 and text/html',
      true,
    ],
    [
      'a redirect',
      (res) => res.writeHead(302, { location: 'https://elsewhere/' }).end(),
      'leads to https://elsewhere/',
      false,
    ],
    ['a gateway that waited in vain', (res) => res.writeHead(504).end('x'), 'status 504', true],
    ['a gateway that is full', (res) => res.writeHead(503).end('x'), 'status 503', false],
    ['a connection that ends', (res) => res.socket?.destroy(), 'was lost', true],
    [
      'an answer cut in half',
      (res) => {
        res.writeHead(200, { 'content-length': whole.length });
        res.write(whole.slice(0, 20), () => res.socket?.destroy());
      },
      'was lost',
      true,
    ],
    ['half of an answer', (res) => res.writeHead(200).end(whole.slice(0, 20)), 'status 200', true],
    ['another answer', (res) => json(res, 200, { ok: true }), 'something else', true],
    ['a server that stalls', () => undefined, 'no answer in 0.2 s', true],
    [
      'an answer that stalls',
      (res) => void res.writeHead(200).write(whole.slice(0, 20)),
      'no answer in 0.2 s',
      true,
    ],
    ['a server that gave up', (res) => json(res, 503, problem(503, 'timed_out')), 'it is timed_out', true],
  ])(
    '(%s) is an error, which says whether the change may have been made',
    async (_what, answer, said, may) => {
      const { url, asked } = await serverThat(answer);
      const index = indexOf(url, { timeoutMs: 200, retry: { retries: 1, pauseMs: () => 0 } });
      const error: unknown = await index.change(relabel).catch((one: unknown) => one);
      expect(error).toMatchObject({ message: expect.stringContaining(said) as string });
      expect((error as Error).message.includes(perhaps)).toBe(may);
      expect(asked).toHaveLength(said === 'status 503' ? 2 : 1);
      // What is only looked at cannot have been changed.
      const look: unknown = await index.describe().catch((one: unknown) => one);
      expect((look as Error).message).not.toContain(perhaps);
    },
  );

  it('(nobody is there) says that nobody heard of it', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const free = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`;
    closed.close();
    await once(closed, 'close');
    await expect(indexOf(free).change(relabel)).rejects.toMatchObject({
      code: 'server_unreachable',
      message: `Expected a nearvote server at ${free}/ but it cannot be reached (ECONNREFUSED)`,
    });
  });
});

describe('teaching a server', () => {
  const filesOf = (labels: readonly string[]): LabelledFiles => ({
    ...{ size: labels.length, passedOver: new Map(), unlabelled: [] },
    images: async function* () {
      for (const [i, label] of labels.entries()) {
        const read = () => Promise.resolve({ kind: 'file', bytes: Buffer.from(`image ${i}`) } as const);
        yield await Promise.resolve({ id: `${i}.png`, source: `${i}.png`, label, read });
      }
    },
  });
  const imagesIn = ({ body }: Asked): string[] =>
    [...body.matchAll(/\r\n\r\n(image \d+)/g)].map(([, one = '']) => one);
  const field = ({ body }: Asked, name: string): string | undefined =>
    new RegExp(`name="${name}"\r\n\r\n([^\r]*)`).exec(body)?.[1];

  /** Adds all it is sent, at most so many at once. */
  function adding(most: number) {
    let sequence = 0;
    return (res: ServerResponse, asked: Asked): void => {
      const images = imagesIn(asked);
      if (images.length > most) return json(res, 413, problem(413, 'too_many_images'));
      const operation = Number(field(asked, 'continues') ?? sequence + 1);
      sequence += images.length;
      const label = field(asked, 'label');
      json(res, 200, { sequence, operation, results: images.map((id) => ({ outcome: 'added', id, label })) });
    };
  }

  it('sends many in requests of one label that are one operation, and in halves where they are too many', async () => {
    const { url, asked } = await serverThat(adding(5));
    const labels = Array.from({ length: 40 }, (_, i) => (i < 30 ? 'cat' : 'dog'));
    const taught = await indexOf(url).teach({ files: filesOf(labels), ...said }, silent);
    expect(taught).toMatchObject({ sequence: 40, operation: 1, operations: [1] });
    expect(taught.outcomes.map((one) => ('label' in one ? [one.file, one.id, one.label] : one))).toEqual(
      labels.map((label, i) => [`${i}.png`, `image ${i}`, label]),
    );
    expect(
      asked.filter((one) => field(one, 'continues') === undefined && imagesIn(one).length <= 5),
    ).toHaveLength(1);
  });

  it('leaves out what the server refuses of an image, and fails where that is all', async () => {
    const { url } = await serverThat((res, asked) => {
      const results = imagesIn(asked).map((id) =>
        id === 'image 1' ? { error: problem(422, 'image_damaged') } : { outcome: 'added', id, label: 'cat' },
      );
      json(res, 200, { sequence: 1, operation: results.length > 1 ? 1 : null, results });
    });
    const taught = await indexOf(url).teach({ files: filesOf(['cat', 'cat']), ...said }, silent);
    expect(taught.outcomes).toMatchObject([
      { file: '0.png', outcome: 'added' },
      { file: '1.png', outcome: 'refused', code: 'image_damaged', message: 'it is image_damaged' },
    ]);
    const files = filesOf(['dog', 'cat']);
    const second = { ...files, size: 1, images: () => skipFirst(files.images()) };
    await expect(indexOf(url).teach({ files: second, ...said }, silent)).rejects.toMatchObject({
      code: 'image_damaged',
      message: '1.png: it is image_damaged',
    });
  });

  it('says what was added before the server was lost', async () => {
    const add = adding(64);
    const { url } = await serverThat((res, asked, request) =>
      request === 1 ? add(res, asked) : void res.socket?.destroy(),
    );
    const labels = Array.from({ length: 20 }, () => 'cat');
    await expect(indexOf(url).teach({ files: filesOf(labels), ...said }, silent)).rejects.toMatchObject({
      code: 'server_unreachable',
      message: expect.stringMatching(
        /was lost.*may have been made.*Before that 16 images were added/,
      ) as string,
    });
  });
});

async function* skipFirst<T>(all: AsyncIterable<T>): AsyncGenerator<T> {
  let isFirst = true;
  for await (const one of all) {
    if (!isFirst) yield one;
    isFirst = false;
  }
}
