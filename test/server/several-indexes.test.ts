import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { NearvoteError } from '../../src/domain/errors.js';
import { openDecisionLog } from '../../src/server/decision-log.js';
import { decisionSchema, embeddingSchema, readySchema, reloadSchema } from '../../src/server/schemas.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';
import {
  expectProblem,
  startTestServer,
  type Answer,
  type TestServer,
  type TestServerOptions,
} from './test-server.js';

let server: TestServer;
afterEach(() => server.close());

const red = await drawColour('red');
const adminKey = 'the-key-of-the-admin';
/** The default is called colours. */
const leaves = createColourClassifier(undefined, 'leaves');

async function start(options: TestServerOptions = {}): Promise<void> {
  server = await startTestServer({ others: { leaves }, adminKey, ...options });
}

const post = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  server.ask(path, { method: 'POST', body: red, headers: { 'content-type': 'image/png', ...headers } });
const reload = (query = ''): Promise<Answer> =>
  server.ask(`/admin/reload${query}`, { method: 'POST', headers: { 'x-api-key': adminKey } });
const indexOf = async (query: string): Promise<string> =>
  decisionSchema.parse((await post(`/classify${query}`)).body).index.name;

describe('a request to one of several indexes', () => {
  it('is answered by the one that it names, and by the first where it names none', async () => {
    await start();
    expect([await indexOf(''), await indexOf('?index=leaves'), await indexOf('?index=colours&k=3')]).toEqual([
      'colours',
      'leaves',
      'colours',
    ]);
    expect(embeddingSchema.parse((await post('/embed?index=leaves')).body).embedding).toEqual([1, 0, 0]);
  });

  it.each(['nothing', '__proto__', 'constructor', 'Leaves', 'leaves%20', '..%2Fleaves'])(
    'is index_unknown for ?index=%s, which names those there are',
    async (name) => {
      await start();
      for (const path of ['/classify', '/embed']) {
        const detail = expectProblem(await post(`${path}?index=${name}`), 404, 'index_unknown');
        expect(detail).toBe(
          `Expected one of the indexes colours, leaves but received ${JSON.stringify(decodeURIComponent(name))}`,
        );
      }
      expectProblem(await reload(`?index=${name}`), 404, 'index_unknown');
    },
  );

  it.each(['?index=', '?index=leaves&index=colours', '?index[]=leaves', '?index'])(
    'is query_invalid for %s',
    async (query) => {
      await start();
      for (const path of ['/classify', '/embed'])
        expectProblem(await post(path + query), 400, 'query_invalid');
      expectProblem(await reload(query), 400, 'query_invalid');
    },
  );

  it('learns no name where it has no key', async () => {
    await start({ apiKeys: ['a-key-of-a-client'] });
    const answer = await post('/classify?index=nothing');
    expectProblem(answer, 401, 'unauthorized');
    expect(answer.text).not.toContain('leaves');
  });

  it('is refused before its body is read where the index is unknown', async () => {
    await start();
    const unread = await server.send(
      'POST /classify?index=nothing HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\nContent-Length: 90000\r\n\r\n',
    );
    expectProblem(unread, 404, 'index_unknown');
  });

  it('is answered while another index loads or its process is being replaced', async () => {
    await start({ classifier: undefined });
    expect(await indexOf('?index=leaves')).toBe('leaves');
    expectProblem(await post('/classify'), 503, 'not_ready');
    server.served.classifier = createColourClassifier();
    server.served.workersReady = () => false;
    expect(await indexOf('?index=leaves')).toBe('leaves');
  });

  it('holds the classifier of its index alone', async () => {
    let answered = (): void => undefined;
    const slow: typeof leaves = {
      ...leaves,
      classify: async (...ask) => {
        await new Promise<void>((resolve) => (answered = resolve));
        return leaves.classify(...ask);
      },
    };
    await start({ others: { leaves: slow } });
    const { holds } = server.serving.find('leaves');
    const pending = indexOf('?index=leaves');
    await expect.poll(() => holds.none(slow, 0)).toBe(false);
    expect(await server.served.holds.none(createColourClassifier(), 0)).toBe(true);
    answered();
    expect(await pending).toBe('leaves');
    expect(await holds.none(slow, 1000)).toBe(true);
  });

  it('is written to the decision log with the name of its index', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nearvote-several-'));
    const file = join(folder, 'decisions.jsonl');
    const log = { file, maxFileBytes: 1e6, rotations: 1, now: () => new Date(), onLost: () => undefined };
    const decisionLog = await openDecisionLog(log);
    await start({ decisionLog });
    await indexOf('?index=leaves');
    await indexOf('');
    await decisionLog.close();
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    await rm(folder, { recursive: true });
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { index: { name: 'leaves' } },
      { index: { name: 'colours' } },
    ]);
  });
});

describe('the readiness of several indexes', () => {
  it('lists each, the default one also where it always was', async () => {
    await start();
    const body = readySchema.parse((await server.ask('/readyz')).body);
    expect(body).toMatchObject({
      index: { name: 'colours' },
      indexes: [
        { name: 'colours', ready: true, examples: 30 },
        { name: 'leaves', ready: true, encoder: { name: 'mean-colour' } },
      ],
    });
  });

  it('is red while any is not ready, and says which', async () => {
    await start({ others: { leaves, mosses: undefined, stones: undefined } });
    expect(expectProblem(await server.ask('/readyz'), 503, 'not_ready')).toBe(
      'Expected every index to be ready but mosses is still loading, stones is still loading',
    );
    for (const name of ['mosses', 'stones']) {
      server.serving.find(name).classifier = createColourClassifier(undefined, name);
    }
    expect((await server.ask('/readyz')).status).toBe(200);
    server.serving.find('stones').workersReady = () => false;
    expect(expectProblem(await server.ask('/readyz'), 503, 'not_ready')).toBe(
      'Expected every index to be ready but a process of stones is being replaced',
    );
  });
});

describe('a reload of several indexes', () => {
  /** Lets every index be reloaded to version 2, except those that fail. @returns their names as they were reloaded */
  function reloadable(failing: Readonly<Record<string, NearvoteError>> = {}): string[] {
    const reloaded: string[] = [];
    for (const index of server.serving.indexes) {
      const { name } = index;
      index.reload = () => {
        reloaded.push(name);
        const error = failing[name];
        return error === undefined ? Promise.resolve({ name, version: '2' }) : Promise.reject(error);
      };
    }
    return reloaded;
  }

  it('is of the one that is named, or of all', async () => {
    await start();
    const reloaded = reloadable();
    const named = { name: 'leaves', version: '2' };
    expect(reloadSchema.parse((await reload('?index=leaves')).body)).toMatchObject({
      index: named,
      indexes: [named],
    });
    expect(reloaded).toEqual(['leaves']);
    expect(reloadSchema.parse((await reload()).body)).toMatchObject({
      index: { name: 'colours' },
      indexes: [{ name: 'colours' }, named],
    });
    expect(reloaded).toEqual(['leaves', 'colours', 'leaves']);
  });

  it('says by name what failed, and loads the others all the same', async () => {
    await start();
    const failing = new NearvoteError('index_invalid', 'Expected a manifest in /home/me/index');
    const reloaded = reloadable({ colours: failing });
    const answer = await reload();
    expect(expectProblem(answer, 409, 'reload_failed')).toBe(
      'Expected what is published to load but colours failed with index_invalid; leaves loaded. ' +
        'What failed goes on as before, and the log has the details',
    );
    expect(answer.text).not.toContain('/home/me');
    expect(reloaded).toEqual(['colours', 'leaves']);
  });

  it('is refused a query that it does not know, and reloads nothing then', async () => {
    await start();
    const reloaded = reloadable();
    expectProblem(await reload('?indexes=leaves'), 400, 'query_invalid');
    expect(reloaded).toEqual([]);
  });
});

describe('the metrics of several indexes', () => {
  it('are counted for the index that answered, and for no name but those of the start', async () => {
    await start();
    await indexOf('?index=leaves');
    await post('/classify?index=nothing');
    const { text } = await server.ask('/metrics');
    for (const [series, value] of [
      ['nearvote_predictions_total{index="leaves",label="red",outcome="known"}', 1],
      ['nearvote_predictions_total{index="colours",label="red",outcome="known"}', 0],
      ['nearvote_top1_similarity_count{index="leaves"}', 1],
      ['nearvote_vote_confidence_count{index="colours"}', 0],
      ['nearvote_index_info{index="leaves",version="1",encoder="mean-colour"}', 1],
      ['nearvote_index_info{index="colours",version="1",encoder="mean-colour"}', 1],
      ['nearvote_rejected_total{reason="index_unknown"}', 1],
    ] as const) {
      expect(text).toContain(`\n${series} ${value}\n`);
    }
    // One encoder, whatever indexes it answers for.
    expect(text.match(/^nearvote_encoder_info\{/gm)).toHaveLength(1);
    const names = new Set([...text.matchAll(/[{,]index="([^"]*)"/g)].map(([, name]) => name));
    expect([...names].sort()).toEqual(['colours', 'leaves']);
  });
});
