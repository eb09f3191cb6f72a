import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { messageOf, NearvoteError, systemCodeOf } from '../domain/errors.js';
import { checkScheme, leadsInside, shownOf } from './bundle-url.js';
import { refusal, type Reading, type ReadOptions } from './reading.js';

const mostRedirects = 5;

/**
 * Opens what lies at an https, http, s3 or file URL.
 * @throws NearvoteError `bundle_unreachable` for what may be otherwise the next time, `bundle_refused` for what will not,
 * `dependency_missing` for s3 where its client is not installed
 */
export async function readUrl(url: URL, options: ReadOptions): Promise<Reading> {
  try {
    if (url.protocol === 'file:') return await readFileUrl(url, options);
    if (url.protocol !== 's3:') return await readHttp(url, options);
    const { readS3 } = await import('./s3.js');
    return await readS3(url, options);
  } catch (cause) {
    throw asFetchError(cause, url);
  }
}

/** What was thrown on the way, in words: fetch's own are `fetch failed`. */
export function asFetchError(cause: unknown, url: URL): NearvoteError {
  if (cause instanceof NearvoteError) return cause;
  return new NearvoteError(
    'bundle_unreachable',
    `Expected an answer from ${shownOf(url)} but: ${reason(cause)}`,
    {
      cause,
    },
  );
}

function reason(thrown: unknown): string {
  if (!(thrown instanceof Error)) return messageOf(thrown);
  if (thrown.cause === undefined) return thrown.message === '' ? systemCodeOf(thrown) : thrown.message;
  return reason(thrown.cause);
}

async function readHttp(first: URL, options: ReadOptions): Promise<Reading> {
  const { etag, signal } = options;
  let { from = 0 } = options;
  let url = first;
  for (let redirects = 0; ; redirects++) {
    checkScheme(url, options);
    const response = await fetch(url, {
      signal,
      redirect: 'manual',
      headers: {
        // The bytes as they are stored: a range of a compressed stream is no range of the file.
        'accept-encoding': 'identity',
        ...(from > 0 && { range: `bytes=${from}-` }),
        ...(etag !== undefined && { 'if-none-match': etag }),
      },
    });
    const { status, headers } = response;
    // A part of a compressed stream is no part of the file.
    const isOfStream = status === 206 && from > 0 && headers.get('content-encoding') !== null;
    if (status === 200 || (status === 206 && !isOfStream)) return readingOf(response, from);
    await response.body?.cancel();
    if (status === 304 && etag !== undefined) return { kind: 'unchanged' };
    // The latter where what is here is not the beginning of what is there.
    if (isOfStream || (status === 416 && from > 0)) {
      from = 0;
      continue;
    }
    const location = headers.get('location');
    if (![301, 302, 303, 307, 308].includes(status) || location === null) throw refusal(url, status);
    if (redirects === mostRedirects || !URL.canParse(location, url.href)) {
      throw new NearvoteError(
        'bundle_refused',
        `Expected at most ${mostRedirects} redirects from ${shownOf(first)} but there are more, or one leads nowhere`,
      );
    }
    const next = new URL(location, url);
    if (!/^https?:$/.test(next.protocol) || (url.protocol === 'https:' && next.protocol === 'http:')) {
      throw new NearvoteError(
        'bundle_refused',
        `Expected https after ${shownOf(first)} but it leads to ${shownOf(next)}`,
      );
    }
    // fetch would show them in its error.
    const isSecret = next.username !== '' || next.password !== '';
    if (isSecret || leadsInside(url, next)) {
      throw new NearvoteError(
        'bundle_refused',
        `Expected another place after ${shownOf(first)} but it leads to ${shownOf(next)}, ${isSecret ? 'with a user and password' : 'which is this machine'}`,
      );
    }
    url = next;
  }
}

/** @throws Error for a part that was not asked for */
function readingOf({ status, headers, body }: Response, from: number): Reading {
  const [, at, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? [];
  if (status === 206 && Number(at) !== from) throw new Error('it sent other bytes than those asked for');
  const length = headers.get('content-length');
  const whole = status === 206 ? total : headers.get('content-encoding') === null ? length : null;
  return {
    kind: 'content',
    start: status === 206 ? from : 0,
    bytes: whole === null || whole === undefined || whole === '*' ? undefined : Number(whole),
    etag: headers.get('etag') ?? undefined,
    // Node's streams can be iterated, which the DOM's type leaves out.
    content: (body ?? []) as unknown as AsyncIterable<Uint8Array>,
  };
}

async function readFileUrl(url: URL, { from = 0, etag, signal }: ReadOptions): Promise<Reading> {
  const path = fileURLToPath(url);
  const found = await stat(path).catch((cause: unknown) => {
    throw new NearvoteError(
      ['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCodeOf(cause)) ? 'bundle_refused' : 'bundle_unreachable',
      `Expected a file at ${path} but it cannot be read: ${systemCodeOf(cause)}`,
      { cause },
    );
  });
  if (!found.isFile())
    throw new NearvoteError('bundle_refused', `Expected a file at ${path} but it is another thing`);
  const own = `${found.ino}-${found.size}-${found.mtimeMs}`;
  if (own === etag) return { kind: 'unchanged' };
  return {
    ...{ kind: 'content', start: from, bytes: found.size, etag: own },
    content: createReadStream(path, { start: from, signal, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>,
  };
}
