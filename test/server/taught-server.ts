import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { compactIndex } from '../../src/build/compact.js';
import type { NearvoteError } from '../../src/domain/errors.js';
import { readEncoderManifest } from '../../src/encoder/load.js';
import { encoderIdentity } from '../../src/encoder/manifest.js';
import { readPublished } from '../../src/examples/index-store.js';
import { lockWriter } from '../../src/examples/writer.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import type { OpenPair } from '../../src/pair.js';
import { createLiveChanges } from '../../src/server/live-changes.js';
import { decisionSchema } from '../../src/server/schemas.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { unitRows } from '../neighbours/unit-vectors.js';
import { createColourClassifierOver, drawColour } from './colour-classifier.js';
import { startTestServer, type Answer, type TestServer, type TestServerOptions } from './test-server.js';

/* A server over a real index of colours, for the tests of a file, which calls `useTaughtServer` once. */

export const adminKey = 'a-key-of-the-admin-alone';

let root = '';
let count = 0;
let server: TestServer | undefined;
const open = new Set<Neighbours>();
let release: () => Promise<void> = () => Promise.resolve();

/** The folder of this test's index. */
export const rootOfIndex = (): string => root;

/** Puts this test's index elsewhere, before a server is started. */
export async function moveIndex(there: string): Promise<void> {
  await cp(root, there, { recursive: true });
  root = there;
}

/** Why what is published cannot be opened, once. */
let fault: NearvoteError | undefined;
export const failNextLoad = (error: NearvoteError): void => void (fault = error);

/** Of the colours: three numbers, of whatever geometry. */
const encoder = await readEncoderManifest('models/cifar10-compact').then((manifest) => ({
  ...manifest,
  output: { ...manifest.output, dimension: 3 },
}));

/** Gives each test of a file an index of its own, and ends what it has started. */
export function useTaughtServer(): void {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nearvote-teaching-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  beforeEach(async () => {
    root = join(folder, `index-${count++}`, 'colours');
    await publishColours(root);
  });
  afterEach(async () => {
    await server?.close();
    await Promise.all([...open].map((neighbours) => neighbours.close()));
    await release();
    open.clear();
    server = undefined;
  });
}

/** Two examples of red and of blue, each on its axis of the space of mean colours. */
async function publishColours(there: string): Promise<void> {
  const { name, sha256, digest } = encoderIdentity(encoder);
  await publishSmallIndex({
    root: there,
    encoder: { name, version: encoder.version, sha256, digest },
    embeddings: unitRows([
      [1, 0, 0],
      [1, 0.01, 0],
      [0, 0, 1],
      [0, 0.01, 1],
    ]),
    examples: ['red', 'red', 'blue', 'blue'].map((label, i) => ({
      id: `built-${i}`,
      label,
      source: `${i}.png`,
    })),
  });
}

/** A server over a real index in a process of its own; encoder and decoder are the colour classifier's. */
export async function startTaught(
  options: TestServerOptions & {
    readonly readonly?: string;
    readonly beforeCompacting?: () => Promise<void>;
  } = {},
): Promise<TestServer> {
  const started = await startTestServer({ adminKey, classifier: undefined, ...options });
  server = started;
  const { served } = started;
  const lock = options.readonly === undefined ? await lockWriter(root) : undefined;
  release = async () => lock?.release();
  async function load(): Promise<void> {
    const failure = fault;
    fault = undefined;
    if (failure !== undefined) throw failure;
    const published = await readPublished(root);
    const neighbours = await openIndexOwner({ ...published, search: 'auto', threads: 1, access: 'write' });
    open.add(neighbours);
    await served.changes.exclusively(async () => {
      await neighbours.follow();
      served.classifier = createColourClassifierOver(neighbours);
      served.pair = { published, neighbours, encoder, encoderDir: 'models/cifar10-compact' } as OpenPair;
    });
  }
  served.changes = createLiveChanges({
    writer: lock ?? { absent: options.readonly ?? '' },
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    neighbours: () => served.pair?.neighbours,
    compact: async () => {
      await options.beforeCompacting?.();
      return compactIndex({
        ...{ root, keep: 2, threads: 1, now: () => new Date() },
        progress: { start: () => undefined, advance: () => undefined, finish: () => undefined },
      });
    },
    reload: load,
  });
  await load();
  return started;
}

export const ask = (path: string, init: RequestInit = {}): Promise<Answer> => {
  if (server === undefined) throw new Error('Expected a server');
  const headers = new Headers(init.headers);
  headers.set('x-api-key', adminKey);
  return server.ask(path, { ...init, headers });
};

export function form(
  fields: Readonly<Record<string, string>>,
  ...images: readonly (readonly [string, Buffer])[]
): RequestInit {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  const field = images.length === 1 ? 'image' : 'images';
  for (const [name, bytes] of images) body.append(field, new Blob([Uint8Array.from(bytes)]), name);
  return { method: 'POST', body };
}

export const json = (method: string, value: unknown): RequestInit => ({
  ...{ method, body: JSON.stringify(value) },
  headers: { 'content-type': 'application/json' },
});

export const green = await drawColour('#00ff00');
export const lime = await drawColour('#10ff00');
export const teach = (label: string, image = green, fields = {}): Promise<Answer> =>
  ask('/examples', form({ label, ...fields }, ['a photo.png', image]));

export async function labelOf(image: Buffer): Promise<string> {
  const { body } = await ask('/classify?k=1', form({}, ['x.png', image]));
  return decisionSchema.parse(body).label;
}
