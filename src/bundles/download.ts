import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, open, rm, stat, truncate } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, NearvoteError } from '../domain/errors.js';
import type { BundleUrl, UrlRules } from './bundle-url.js';
import { asFetchError, readUrl } from './transport.js';

/** How a file is fetched. */
export interface FetchRules extends UrlRules {
  readonly s3PathStyle: boolean;
  /** A larger file is refused, and none of it kept. */
  readonly mostBytes: number;
  /** A host that gives next to nothing for so long is given up. */
  readonly stallMs: number;
  /** Before the second try; each further one waits twice as long. */
  readonly pauseMs: number;
  /** Tries in a row that bring nothing. */
  readonly attempts: number;
}

interface DownloadOptions {
  readonly source: BundleUrl;
  /** What is there of it from an earlier try is gone on with. */
  readonly to: string;
  readonly rules: FetchRules;
  readonly signal: AbortSignal;
}

/** A try that was lost before so many bytes came has brought nothing: a host could give them one by one. */
const worthwhileBytes = 65_536;
/** Fewer in the time that is allowed are silence. */
const audibleBytes = 16_384;

/**
 * Downloads a file and holds it to its sha256 as it comes; it is on the disk when this resolves.
 * @throws NearvoteError `bundle_unreachable` with what came so far kept; `bundle_refused`, `bundle_invalid`, and
 * `output_unwritable` with nothing kept
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  const { source, to, rules, signal } = options;
  let isFromEarlier = (await sizeOf(to)) > 0;
  for (let failures = 0; ;) {
    const before = await sizeOf(to);
    try {
      const sha256 = await fetchRest(options);
      if (sha256 === source.sha256) return;
      await rm(to, { force: true });
      // What lay there from another time may have been something else.
      if (!isFromEarlier) throw wrongDigest(source, sha256);
      isFromEarlier = false;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof NearvoteError) || error.code !== 'bundle_unreachable') {
        await rm(to, { force: true });
        throw error;
      }
      failures = (await sizeOf(to)) - before >= worthwhileBytes ? 1 : failures + 1;
      if (failures >= rules.attempts) throw error;
      await pause(rules.pauseMs * 2 ** (failures - 1), undefined, { signal });
    }
  }
}

/** Appends what is missing. @returns the sha256 of the whole */
async function fetchRest({ source, to, rules, signal: outer }: DownloadOptions): Promise<string> {
  const patience = new AbortController();
  const silent = new Error(`it was silent, or all but silent, for ${rules.stallMs / 1000} seconds`);
  const timer = setTimeout(() => patience.abort(silent), rules.stallMs);
  const signal = AbortSignal.any([outer, patience.signal]);
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  try {
    const have = await sizeOf(to);
    let hash = createHash('sha256');
    if (have > 0) for await (const chunk of readOwn(to)) hash.update(chunk);
    // All of it, by one who was killed before it was used.
    const sofar = hash.copy().digest('hex');
    if (sofar === source.sha256) return sofar;
    timer.refresh();
    const reading = await readUrl(source.url, { ...rules, from: have, signal });
    if (reading.kind === 'unchanged') throw new Error('it says that nothing has changed');
    const { start, bytes: announced, content } = reading;
    checkSize(source, announced ?? 0, rules);
    if (start < have) {
      await truncate(to, 0);
      hash = createHash('sha256');
    }
    // Never through a link: others may write in a cache too.
    const output = await writable(to, () => open(to, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW));
    let bytes = start;
    let heard = 0;
    try {
      for await (const chunk of content) {
        heard += chunk.length;
        if (heard >= audibleBytes) {
          timer.refresh();
          heard = 0;
        }
        bytes += chunk.length;
        checkSize(source, bytes, rules);
        hash.update(chunk);
        await writable(to, () => output.appendFile(chunk));
      }
      if (announced !== undefined && bytes < announced) {
        throw new Error(`the connection ended after ${bytes} of ${announced} bytes`);
      }
      await writable(to, () => output.sync());
    } finally {
      await output.close();
    }
    return hash.digest('hex');
  } catch (error) {
    throw asFetchError(patience.signal.aborted ? silent : error, source.url);
  } finally {
    clearTimeout(timer);
    patience.abort();
  }
}

const readOwn = (path: string): AsyncIterable<Buffer> =>
  createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;

function checkSize({ shown }: BundleUrl, bytes: number, { mostBytes }: FetchRules): void {
  if (bytes <= mostBytes) return;
  throw new NearvoteError(
    'bundle_invalid',
    `Expected at most ${mostBytes} bytes at ${shown} but there are more; --max-bundle-bytes allows more`,
  );
}

async function writable<T>(path: string, write: () => Promise<T>): Promise<T> {
  return write().catch((cause: unknown) => {
    throw new NearvoteError('output_unwritable', `Expected to write ${path} but: ${messageOf(cause)}`, {
      cause,
    });
  });
}

function wrongDigest({ shown, sha256 }: BundleUrl, received: string): NearvoteError {
  return new NearvoteError(
    'bundle_invalid',
    `Expected ${shown} with the sha256 ${sha256} but it has ${received}; it is not kept`,
  );
}

/** 0 where there is none. */
async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

/**
 * A small text.
 * @returns undefined where it is the one with that etag
 * @throws NearvoteError as `readUrl`, `bundle_invalid` for a text of more than so many bytes
 */
export async function readSmall(
  { url, shown }: { readonly url: URL; readonly shown: string },
  options: {
    readonly mostBytes: number;
    readonly etag?: string | undefined;
    readonly rules: FetchRules;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly text: string; readonly etag: string | undefined } | undefined> {
  const { mostBytes, etag, rules, signal: outer } = options;
  const patience = AbortSignal.timeout(rules.stallMs);
  const signal = AbortSignal.any([outer, patience]);
  try {
    const reading = await readUrl(url, { ...rules, etag, signal });
    if (reading.kind === 'unchanged') return undefined;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of reading.content) {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > mostBytes) {
        throw new NearvoteError(
          'bundle_invalid',
          `Expected at most ${mostBytes} bytes at ${shown} but there are more`,
        );
      }
    }
    return { text: Buffer.concat(chunks).toString('utf8'), etag: reading.etag };
  } catch (error) {
    throw asFetchError(
      patience.aborted ? new Error(`it was silent for ${rules.stallMs / 1000} seconds`) : error,
      url,
    );
  }
}
