import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Answer } from '../../src/batch/answers.js';
import { openServerAnswers, type ServerAnswersOptions } from '../../src/batch/server-answers.js';
import { decided } from './decided.js';

interface Said {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** What the images hold, as text. */
  readonly images: readonly string[];
}

const ready = {
  status: 'ready',
  index: { name: 'i', version: 'v1', examples: 3 },
  encoder: { name: 'e', version: '1', dimension: 2, runtime: 'onnxruntime' },
};
const problem = (status: number, code: string): Said => ({
  status,
  body: { type: `/docs#${code}`, title: code, detail: `it is ${code}`, status, code, instance: '1' },
});

/** An answer to each image: its label is what it holds. */
const decisions = ({ images }: Asked): Said => ({
  status: 200,
  body: { results: images.map((image) => decided('', { label: image }).decision) },
});

/** A server of HTTP that says what it is told to; /readyz as a nearvote does unless told. */
async function serverThat(
  answer: (asked: Asked, request: number) => Said | 'hang up',
  readyz: () => Said = () => ({ status: 200, body: ready }),
): Promise<{ readonly url: string; readonly asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    void buffer(req).then((body) => {
      const parts = body.toString('latin1').split(/--+\S*formdata\S*\r\n/i);
      const images = parts.flatMap((part) => /name="images"[^]*?\r\n\r\n([^]*)\r\n/.exec(part)?.[1] ?? []);
      const one = { path: req.url ?? '', headers: req.headers, images };
      if (req.method === 'POST') asked.push(one);
      const said = req.method === 'POST' ? answer(one, asked.length) : readyz();
      if (said === 'hang up') return void req.socket.destroy();
      res.writeHead(said.status, { 'content-type': 'application/json', ...said.headers });
      res.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function files(contents: readonly string[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-server-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const paths = contents.map((_, i) => join(folder, `${i}.png`));
  for (const [i, path] of paths.entries()) await writeFile(path, contents[i] ?? '');
  return paths;
}

interface Run extends Partial<ServerAnswersOptions> {
  readonly url: string;
  readonly paths: readonly string[];
}

const atOnce = { pauseMs: () => 0 };

async function answersTo({ paths, ...options }: Run): Promise<Answer[]> {
  const answering = await openServerAnswers({ maxImageBytes: 100, retry: atOnce, ...options });
  const answers: Answer[] = [];
  async function* all() {
    for (const path of paths) yield await Promise.resolve({ path });
  }
  for await (const answer of answering.answer(all())) answers.push(answer);
  return answers;
}

const said = (answers: readonly Answer[]): string[] =>
  answers.map((answer) => ('decision' in answer ? answer.decision.label : answer.error.code));
const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

describe('a server', () => {
  it('is asked for many images at once, and its answers come in the order of the files', async () => {
    const { url, asked } = await serverThat(decisions);
    expect(said(await answersTo({ url, paths: await files(numbers(100)) }))).toEqual(numbers(100));
    expect(asked.length).toBeLessThan(10);
    expect(asked[0]).toMatchObject({ path: '/classify' });
  });

  it('is told what was asked for alone, and the key by a header alone', async () => {
    const { url, asked } = await serverThat(decisions);
    const paths = await files(['0']);
    await answersTo({
      url: `${url}/`,
      paths,
      k: 5,
      vote: 'majority',
      neighbours: 2,
      key: 'sixteen-letters!',
    });
    expect(asked[0]).toMatchObject({
      path: '/classify?k=5&vote=majority&neighbours=2',
      headers: { authorization: 'Bearer sixteen-letters!' },
    });
  });

  it('is asked of the index that was named, where it serves that', async () => {
    const { url, asked } = await serverThat(decisions, () => {
      const { index, encoder } = ready;
      return {
        status: 200,
        body: { ...ready, indexes: [index, { ...index, name: 'b' }].map((one) => ({ ...one, encoder })) },
      };
    });
    const paths = await files(['0']);
    await answersTo({ url, paths, index: 'b' });
    expect(asked[0]).toMatchObject({ path: '/classify?index=b' });
    await expect(answersTo({ url, paths, index: 'c' })).rejects.toMatchObject({
      code: 'server_refused',
      message: expect.stringContaining('i, b') as string,
    });
  });

  it('may be behind a path', async () => {
    const { url, asked } = await serverThat(decisions);
    await answersTo({ url: `${url}/images/of?x=1#y`, paths: await files(['0']) });
    expect(asked[0]).toMatchObject({ path: '/images/of/classify' });
  });

  it('is not sent what cannot be read or is too large, which are answers of their own in their places', async () => {
    const { url } = await serverThat(decisions);
    const paths = await files(['0', 'x'.repeat(101), '', '3']);
    expect(said(await answersTo({ url, paths: [...paths, 'gone.png'] }))).toEqual([
      ...['0', 'image_too_large', 'image_empty', '3', 'image_missing'],
    ]);
  });

  it('that says of an image that it is none is believed', async () => {
    const error = { status: 415, code: 'image_unsupported', title: 'none', detail: 'it is none' };
    const { url, asked } = await serverThat(({ images }) => ({
      status: 200,
      body: {
        results: images.map((image) => (image === '1' ? { error } : decided('', { label: image }).decision)),
      },
    }));
    const answers = await answersTo({ url, paths: await files(numbers(3)) });
    expect(said(answers)).toEqual(['0', 'image_unsupported', '2']);
    expect(answers[1]).toMatchObject({ error: { message: 'it is none' } });
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['too_many_images', 413],
    ['body_too_large', 413],
    ['timed_out', 503],
  ])('that says %s is sent fewer images at once', async (code, status) => {
    const { url, asked } = await serverThat((one) =>
      one.images.length > 3 ? problem(status, code) : decisions(one),
    );
    expect(said(await answersTo({ url, paths: await files(numbers(200)) }))).toEqual(numbers(200));
    const late = asked.slice(asked.length / 2);
    expect(Math.max(...late.map(({ images }) => images.length))).toBeLessThanOrEqual(4);
  });

  it('that refuses before it has the whole request gets the rest of it all the same', async () => {
    let whole = 0;
    const server = createServer((req, res) => {
      const refused = problem(req.method === 'POST' ? 413 : 200, 'too_many_images');
      res.writeHead(refused.status, { 'content-type': 'application/json' });
      res.end(JSON.stringify(req.method === 'POST' ? refused.body : ready));
      req.on('end', () => (whole += req.method === 'POST' ? 1 : 0)).resume();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const paths = await files(Array.from({ length: 16 }, () => 'x'.repeat(50_000)));
    const answers = await answersTo({ url: `http://127.0.0.1:${port}`, paths, maxImageBytes: 50_000 });
    expect(said(answers)).toEqual(Array.from({ length: 16 }, () => 'too_many_images'));
    server.close();
    await once(server, 'close');
    expect(whole).toBe(31);
  });

  it('that finds one image too large says so of it alone', async () => {
    const { url } = await serverThat((one) =>
      one.images.includes('1') ? problem(413, 'body_too_large') : decisions(one),
    );
    expect(said(await answersTo({ url, paths: await files(numbers(4)) }))).toEqual([
      '0',
      'body_too_large',
      '2',
      '3',
    ]);
  });

  it('that is full or gone for a while is asked again, as often as it takes up to a bound', async () => {
    const hiccups: (Said | 'hang up')[] = [
      problem(429, 'overloaded'),
      'hang up',
      problem(503, 'not_ready'),
      { status: 502, body: 'Bad gateway' },
    ];
    const { url } = await serverThat((one) => hiccups.shift() ?? decisions(one));
    expect(said(await answersTo({ url, paths: await files(['0']) }))).toEqual(['0']);
    const full = await serverThat(() => problem(429, 'overloaded'));
    await expect(
      answersTo({ url: full.url, paths: await files(['0']), retry: { ...atOnce, retries: 3 } }),
    ).rejects.toMatchObject({
      code: 'server_refused',
      message: expect.stringContaining('429') as string,
    });
    expect(full.asked).toHaveLength(4);
    const gone = await serverThat(() => 'hang up');
    await expect(answersTo({ url: gone.url, paths: await files(['0']) })).rejects.toMatchObject({
      code: 'server_unreachable',
    });
  });

  it('is asked again after as long as it says', async () => {
    const full = { ...problem(429, 'rate_limited'), headers: { 'retry-after': '1' } };
    const { url } = await serverThat((one, request) => (request === 1 ? full : decisions(one)));
    const started = performance.now();
    await answersTo({ url, paths: await files(['0']) });
    expect(performance.now() - started).toBeGreaterThan(950);
  });

  it('whose worker fell is asked again for the images that fell with it, one by one', async () => {
    const error = { status: 503, code: 'worker_failed', title: 'An inference worker failed' };
    const { url, asked } = await serverThat(({ images }) => ({
      status: 200,
      // One image ends a worker whenever it comes.
      body: {
        results: images.map((image) =>
          images.includes('2') ? { error } : decided('', { label: image }).decision,
        ),
      },
    }));
    expect(said(await answersTo({ url, paths: await files(numbers(5)) }))).toEqual([
      '0',
      '1',
      'worker_failed',
      '3',
      '4',
    ]);
    expect(asked.filter(({ images }) => images.includes('2'))).toHaveLength(4);
  });
});

describe('what is no server to ask', () => {
  const refusal = (code: string, ...words: string[]) => ({
    code,
    message: expect.stringMatching(new RegExp(words.join('[^]*'))) as string,
  });

  it('is told from one: nobody there, another program, another document, one that leads elsewhere', async () => {
    const paths = await files(['0']);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.close();
    await once(server, 'close');
    await expect(answersTo({ url, paths })).rejects.toMatchObject(
      refusal('server_unreachable', url, 'ECONNREFUSED'),
    );

    const others: Said[] = [
      { status: 404, body: '<h1>Not found</h1>', headers: { 'content-type': 'text/html' } },
      { status: 200, body: '<h1>Hello</h1>', headers: { 'content-type': 'text/html' } },
      { status: 200, body: { status: 'ok' } },
      { status: 301, body: '', headers: { location: 'http://elsewhere.example/' } },
    ];
    for (const other of others) {
      const { url: there } = await serverThat(decisions, () => other);
      await expect(answersTo({ url: there, paths })).rejects.toMatchObject(refusal('server_refused', there));
    }
  });

  it('is one without a key, or with another, and the key is not repeated', async () => {
    const { url } = await serverThat(() => problem(401, 'unauthorized'));
    const paths = await files(['0']);
    await expect(answersTo({ url, paths })).rejects.toMatchObject(
      refusal('server_refused', 'NEARVOTE_API_KEY', 'none is set'),
    );
    const wrong = answersTo({ url, paths, key: 'not-the-right-key' });
    await expect(wrong).rejects.toMatchObject(refusal('server_refused', 'it takes another'));
    await expect(wrong).rejects.not.toMatchObject(refusal('server_refused', 'not-the-right-key'));
  });

  it('is never shown a key that can be none, nor is anybody else', async () => {
    const { url, asked } = await serverThat(decisions);
    for (const key of ['one\ntwo-and-secret', 'é-secret', '', 'a secret']) {
      const wrong = answersTo({ url, paths: [], key });
      await expect(wrong).rejects.toMatchObject(refusal('usage', 'NEARVOTE_API_KEY'));
      await expect(wrong).rejects.not.toMatchObject(refusal('usage', 'secret'));
    }
    expect(asked).toEqual([]);
  });

  it('is one that refuses the query, which is the end of the run', async () => {
    const { url, asked } = await serverThat(() => problem(400, 'k_too_large'));
    await expect(answersTo({ url, paths: await files(numbers(2)), k: 1000 })).rejects.toMatchObject(
      refusal('server_refused', 'k_too_large', 'it is k_too_large'),
    );
    expect(asked).toHaveLength(1);
  });

  it('is one that gives fewer answers than there are images, or none that can be read', async () => {
    const paths = await files(numbers(2));
    for (const results of [[], [decided('', {}).decision], ['x', 'y'], undefined]) {
      const { url } = await serverThat(() => ({ status: 200, body: { results } }));
      await expect(answersTo({ url, paths })).rejects.toMatchObject(
        refusal('server_refused', 'a decision for each image'),
      );
    }
  });

  it('is no address, and one with a password in it, which is not repeated', async () => {
    for (const url of ['', 'example', 'ftp://example.org', 'http://']) {
      await expect(answersTo({ url, paths: [] }), url).rejects.toMatchObject({ code: 'usage' });
    }
    const secret = answersTo({ url: 'http://eve:secret@127.0.0.1:1', paths: [] });
    await expect(secret).rejects.toMatchObject(refusal('usage', 'NEARVOTE_API_KEY'));
    await expect(secret).rejects.not.toMatchObject(refusal('usage', 'secret'));
  });
});

describe('a run with a server that is stopped', () => {
  it('ends without an error, even while it waits to ask again', async () => {
    const stop = new AbortController();
    const { url } = await serverThat(() => {
      setImmediate(() => stop.abort());
      return { ...problem(429, 'overloaded'), headers: { 'retry-after': '60' } };
    });
    expect(await answersTo({ url, paths: await files(numbers(3)), signal: stop.signal })).toEqual([]);
  });
});
