import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { syncPath, writing } from '../files/durable.js';
import type { IndexRequests } from './index-requests.js';

export interface FetchBundle {
  /** Folder that it is written to; made where it is not there. */
  readonly out: string;
  readonly withEncoder: boolean;
  readonly asPublished: boolean;
}

export interface FetchedBundle {
  readonly path: string;
  /** Of the file. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Fetches an index of a server as one file, called by its sha256, once all of it is what the server says.
 * @throws NearvoteError the server's own, `bundle_invalid` where it came otherwise, `output_unwritable`; then no file is left
 */
export async function fetchBundle(
  requests: IndexRequests,
  { out, withEncoder, asPublished }: FetchBundle,
): Promise<FetchedBundle> {
  const query = { encoder: withEncoder ? 'true' : undefined, asPublished: asPublished ? 'true' : undefined };
  const response = await requests.open('bundle', { query });
  const [, expected] = /sha-256=:([^:]+):/.exec(response.headers.get('repr-digest') ?? '') ?? [];
  const disposition = response.headers.get('content-disposition') ?? '';
  const name = /filename="?([\w.~ -]+)-[0-9a-f]{64}\.tar/.exec(disposition)?.[1] ?? 'index';
  if (expected === undefined || response.body === null) throw requests.strange();
  const content = response.body as AsyncIterable<Uint8Array>;
  return writing(out, async () => {
    await mkdir(out, { recursive: true });
    const part = join(out, `.fetched-${randomBytes(4).toString('hex')}.part`);
    const hash = createHash('sha256');
    let bytes = 0;
    try {
      const file = await open(part, 'wx');
      try {
        for await (const piece of content) {
          hash.update(piece);
          bytes += piece.byteLength;
          await file.writeFile(piece);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      const sha256 = hash.digest('hex');
      if (sha256 !== Buffer.from(expected, 'base64').toString('hex')) throw broken();
      const path = join(out, `${name}-${sha256}.tar`);
      await rename(part, path);
      await syncPath(out);
      return { path, sha256, bytes };
    } catch (error) {
      // What fetch says of a connection that ended.
      throw error instanceof TypeError ? broken() : error;
    } finally {
      await rm(part, { force: true });
    }
  });

  function broken(): NearvoteError {
    const { url } = requests.connection;
    return new NearvoteError('bundle_invalid', `Expected a whole bundle from ${url} but it was cut off`);
  }
}

const publishedSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  sequence: z.int(),
  examples: z.int(),
  changed: z.boolean(),
  sha256: z.string(),
  former: z.string(),
});

export interface SendBundle {
  readonly file: string;
  readonly sha256: string | undefined;
  readonly replace: boolean;
}

export type SentBundle = z.infer<typeof publishedSchema>;

/** Sends a bundle to a server, which publishes it as the next version of an index. @throws NearvoteError the server's own */
export async function sendBundle(
  requests: IndexRequests,
  { file, sha256, replace }: SendBundle,
): Promise<SentBundle> {
  const handle = await open(file).catch((cause: unknown) => {
    throw new NearvoteError('bundle_invalid', `Expected a bundle in ${file} but it cannot be read`, {
      cause,
    });
  });
  await handle.close();
  const body = Readable.toWeb(createReadStream(file)) as ReadableStream;
  const sending = { method: 'POST', query: { sha256, replace: replace ? 'true' : undefined }, body } as const;
  const response = await requests.open('bundle', sending);
  return requests.read(await response.json(), publishedSchema, { method: 'POST' });
}
