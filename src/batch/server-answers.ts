import { stat } from 'node:fs/promises';
import { NearvoteError } from '../domain/errors.js';
import { readImageFile } from '../image/dataset/dataset.js';
import type { ImageFile } from '../image/dataset/walk-images.js';
import type { VoteRule } from '../vote/rules.js';
import { inOrder, type Answer, type Answering } from './answers.js';
import { faulty } from './local-answers.js';
import {
  createServerConnection,
  encodeForm,
  foreign,
  mayPass,
  pause,
  type Reply,
  type RetryOptions,
  type ServerConnection,
  type ServerConnectionOptions,
} from '../client/server-connection.js';
import {
  answersOf,
  failed,
  readySchema,
  type ImageAnswer,
  type Ready,
  type ReadImage,
} from './server-results.js';

export interface ServerAnswersOptions extends ServerConnectionOptions {
  /** By name; the server's first unless told. */
  readonly index?: string | undefined;
  /** The server's own unless told, as are the next two. */
  readonly k?: number | undefined;
  readonly vote?: VoteRule | undefined;
  readonly neighbours?: number | undefined;
  readonly maxImageBytes: number;
  /** Another only in tests. */
  readonly retry?: Partial<Pick<RetryOptions, 'retries' | 'pauseMs'>> | undefined;
}

/** Of one request: enough for a batch of each of its workers, and far below a server's --max-images and --max-queue. */
const imagesInRequest = 16;
/** In bytes, and of one request unless one image is larger: far below a server's --max-body-bytes. */
const bytesInRequest = 16_000_000;
/** While one is on its way back, the others are at work. */
const requestsInFlight = 4;
const defaultRetries = 8;
/** 0.25 s, and twice as long each time. */
const defaultPauseMs = (n: number): number => 250 * 2 ** n;

/**
 * Asks a server that runs. What it refuses for now, it is asked again when it says; a request that is too much for it is
 * sent in halves.
 * @throws NearvoteError `usage`, `server_unreachable`, `server_refused`
 */
export async function openServerAnswers(options: ServerAnswersOptions): Promise<Answering> {
  const { index, k, vote, neighbours, maxImageBytes, signal } = options;
  const connection = createServerConnection(options);
  const retry: RetryOptions = { retries: defaultRetries, pauseMs: defaultPauseMs, signal, ...options.retry };
  const served = servedBy(await readiness(connection, retry), { index, url: connection.url });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ index, k, vote, neighbours })) {
    if (value !== undefined) query.set(name, String(value));
  }
  const path = query.size === 0 ? 'classify' : `classify?${query.toString()}`;
  let most = imagesInRequest;

  async function read({ path: file, fault }: ImageFile): Promise<ReadImage | Answer> {
    try {
      if (fault !== undefined) throw faulty(file, fault);
      const { bytes } = await readImageFile({ id: file, path: file, maxBytes: maxImageBytes });
      if (bytes.length > 0) return { path: file, bytes };
      throw new NearvoteError('image_empty', 'Expected an image but received 0 bytes');
    } catch (error) {
      if (!(error instanceof NearvoteError) || !error.code.startsWith('image_')) throw error;
      return { file, error: { code: error.code, message: error.message } };
    }
  }

  async function answerGroup(files: readonly ImageFile[]): Promise<Answer[]> {
    const all = await Promise.all(files.map(read));
    const answers = await answerImages(all.flatMap((one) => ('bytes' in one ? [one] : [])));
    let at = 0;
    return all.flatMap((one) => ('bytes' in one ? (answers[at++] ?? []) : one));
  }

  /** One for each image, in their order. */
  async function answerImages(images: readonly ReadImage[]): Promise<Answer[]> {
    if (images.length === 0) return [];
    const isAlone = images.length === 1;
    const form = await encodeForm(formOf(images));
    for (let attempt = 0; ; attempt++) {
      const reply = await connection.ask(path, { body: form });
      if (reply.kind === 'answered') {
        const answers = answersOf(reply.body, images, connection);
        if (!isAlone) return answerAgain(images, answers);
        if (answers.every(({ mayPass }) => !mayPass) || attempt === lonelyRetries)
          return answers.map(({ answer }) => answer);
      } else if (isTooMuch(reply) && !isAlone) {
        return answerHalves(images);
      } else if (reply.kind === 'refused' && reply.status === 413) {
        return images.map((image) => failed(image, reply.code, reply.detail));
      } else if (!mayPass(reply) || attempt === retry.retries) {
        throw refusal(connection, reply);
      }
      await pause(reply, attempt, retry);
    }
  }

  async function answerHalves(images: readonly ReadImage[]): Promise<Answer[]> {
    const half = Math.ceil(images.length / 2);
    most = Math.min(most, half);
    return [...(await answerImages(images.slice(0, half))), ...(await answerImages(images.slice(half)))];
  }

  /** Images that fell with a worker, or for which there was no place, are sent again one by one. */
  async function answerAgain(
    images: readonly ReadImage[],
    answers: readonly ImageAnswer[],
  ): Promise<Answer[]> {
    const settled: Answer[] = [];
    for (const [i, { answer, mayPass: isSentAgain }] of answers.entries()) {
      settled.push(...(isSentAgain ? await answerImages(images.slice(i, i + 1)) : [answer]));
    }
    return settled;
  }

  return {
    circumstances: {
      server: true,
      index: served.name,
      version: served.version,
      encoder: `${served.encoder.name} ${served.encoder.version}`,
      k: k ?? 'default',
      vote: vote ?? 'default',
      neighbours: neighbours ?? 'default',
      'max-image-bytes': maxImageBytes,
    },
    answer: async function* (files) {
      try {
        for await (const answers of inOrder(
          groups(files, () => most),
          requestsInFlight,
          answerGroup,
        ))
          yield* answers;
      } catch (error) {
        if (signal?.aborted !== true) throw error;
      }
    },
    close: () => Promise.resolve(),
  };
}

/** An image that ends a worker every time is not to end the run. */
const lonelyRetries = 2;

type Refused = Extract<Reply, { readonly kind: 'refused' }>;

/** Files by the request, few enough and small enough for one. */
async function* groups(files: AsyncIterable<ImageFile>, most: () => number): AsyncGenerator<ImageFile[]> {
  let group: ImageFile[] = [];
  let bytes = 0;
  for await (const file of files) {
    const { size } = await stat(file.path).catch(() => ({ size: 0 }));
    if (group.length > 0 && (group.length >= most() || bytes + size > bytesInRequest)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(file);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

/** Files in their order; their names are nobody's but the caller's. */
function formOf(images: readonly ReadImage[]): FormData {
  const form = new FormData();
  for (const [i, { bytes }] of images.entries())
    form.append('images', new Blob([Buffer.from(bytes)]), String(i));
  return form;
}

async function readiness(connection: ServerConnection, retry: RetryOptions): Promise<Ready> {
  for (let attempt = 0; ; attempt++) {
    const reply = await connection.ask('readyz');
    if (reply.kind === 'answered') {
      const { data } = readySchema.safeParse(reply.body);
      if (data !== undefined) return data;
      throw new NearvoteError(
        'server_refused',
        `Expected a nearvote server at ${connection.url} but /readyz says something else`,
      );
    }
    // Nobody is there: waiting is for what answered once.
    if (reply.kind === 'lost' || !mayPass(reply) || attempt === retry.retries)
      throw refusal(connection, reply);
    await pause(reply, attempt, retry);
  }
}

type Served = NonNullable<Ready['indexes']>[number];

/** @throws NearvoteError `server_refused` where it serves no index of that name */
function servedBy(
  { indexes = [], ...ready }: Ready,
  { index, url }: { readonly index: string | undefined; readonly url: string },
): Served {
  const all: readonly Served[] = [{ ...ready.index, encoder: ready.encoder }, ...indexes];
  const served = all.find(({ name }) => index === undefined || name === index);
  if (served !== undefined) return served;
  const names = [...new Set(all.map(({ name }) => name))].join(', ');
  throw new NearvoteError(
    'server_refused',
    `Expected ${url} to serve index ${index ?? ''} but it serves ${names}`,
  );
}

function isTooMuch(reply: Reply): reply is Refused {
  return reply.kind === 'refused' && ['too_many_images', 'body_too_large', 'timed_out'].includes(reply.code);
}

function refusal({ url, hasKey }: ServerConnection, reply: Reply): NearvoteError {
  if (reply.kind === 'foreign') return foreign(url, reply);
  if (reply.kind !== 'refused') {
    const reason = reply.kind === 'lost' ? reply.reason : 'no answer';
    return new NearvoteError(
      'server_unreachable',
      `Expected a nearvote server at ${url} but it cannot be reached (${reason})`,
    );
  }
  if (reply.status === 401) {
    const why = hasKey ? 'it takes another' : 'it needs one and none is set';
    return new NearvoteError(
      'server_refused',
      `Expected ${url} to take the key in NEARVOTE_API_KEY but ${why}`,
    );
  }
  return new NearvoteError(
    'server_refused',
    `Expected ${url} to classify but it refused with status ${reply.status}, ${reply.code}: ${reply.detail}`,
  );
}
