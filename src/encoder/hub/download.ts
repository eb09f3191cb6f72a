import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, NearvoteError } from '../../domain/errors.js';
import { syncPath } from '../../files/durable.js';
import { asHubError, chunksOf, refusal } from './guarded-fetch.js';
import type { HubSettings } from './settings.js';

/** What a listing says of a file, and what its bytes are held to. */
export interface ListedFile {
  /** In the repository, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** sha256 of its bytes for what LFS keeps, git's own sha1 for what git does. Lower-case hex. */
  readonly digest: { readonly algorithm: 'sha256' | 'git'; readonly hex: string };
}

export interface DownloadOptions {
  readonly url: string;
  readonly file: ListedFile;
  /** Where the whole file will lie; what is there of it so far lies beside it, and is gone on with. */
  readonly to: string;
  readonly settings: HubSettings;
  /** So many bytes more are there; fewer where it had to begin again. */
  readonly onBytes: (count: number) => void;
}

/** A connection that was lost before so many bytes came has brought nothing: a host could give them one by one. */
const worthwhileBytes = 65_536;
/** Fewer in the time that is allowed are silence. */
const audibleBytes = 16_384;

/**
 * Downloads a file, from where an earlier try ended, and keeps it only if its digest is right.
 * @throws NearvoteError `hub_unreachable`, `hub_refused`; `encoder_invalid` when the bytes are not those that the listing
 * promises; `output_unwritable`; the file system's own error
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { file, to, settings, onBytes } = options;
  const part = `${to}.incomplete`;
  let isFromEarlier = (await sizeOf(part)) > 0;
  onBytes(Math.min(await sizeOf(part), file.bytes));
  for (let failures = 0; ;) {
    const before = await sizeOf(part);
    if (before > file.bytes) {
      await startAgain(part, { was: file.bytes, onBytes });
      continue;
    }
    try {
      if (before < file.bytes || file.bytes === 0) await fetchRest(part, options);
    } catch (error) {
      if (!(error instanceof NearvoteError) || error.code !== 'hub_unreachable') throw error;
      failures = (await sizeOf(part)) - before >= worthwhileBytes ? 0 : failures + 1;
      if (failures >= settings.attempts || isHopeless(error)) throw error;
      if (failures > 0) await pause(settings.pauseMs * failures);
      continue;
    }
    if (await matches(part, file)) break;
    await startAgain(part, { was: file.bytes, onBytes });
    // What lay there from another time may have been something else.
    if (!isFromEarlier) throw wrongDigest(file);
    isFromEarlier = false;
  }
  await syncPath(part);
  await rename(part, to);
}

async function startAgain(
  part: string,
  { was, onBytes }: Pick<DownloadOptions, 'onBytes'> & { readonly was: number },
): Promise<void> {
  await rm(part, { force: true });
  onBytes(-was);
}

/** Appends what is missing. @throws NearvoteError `hub_unreachable` when the connection is lost before the end */
async function fetchRest(part: string, { url, file, settings, onBytes }: DownloadOptions): Promise<void> {
  const have = await sizeOf(part);
  const { endpoint, token, timeoutMs } = settings;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), timeoutMs);
  const { origin } = new URL(endpoint);
  try {
    const response = await fetch(url, {
      signal: patience.signal,
      headers: {
        // The bytes as they are stored: a range of a compressed stream is no range of the file.
        'accept-encoding': 'identity',
        ...(have > 0 && { range: `bytes=${have}-` }),
        // fetch takes it off where a redirect leads to another origin.
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    });
    const start = await startOf(response, { have, part, file, settings });
    if (start < have) onBytes(start - have);
    const output = await openPart(part, start);
    let bytes = start;
    let heard = 0;
    try {
      for await (const chunk of chunksOf(response)) {
        heard += chunk.length;
        if (heard >= audibleBytes) {
          timer.refresh();
          heard = 0;
        }
        bytes += chunk.length;
        if (bytes > file.bytes) throw larger(file, 'it goes on');
        await output.appendFile(chunk).catch((cause: unknown) => {
          throw unwritable(part, cause);
        });
        onBytes(chunk.length);
      }
    } finally {
      await output.close();
    }
    if (bytes < file.bytes) throw new Error(`the connection ended after ${bytes} of ${file.bytes} bytes`);
  } catch (cause) {
    if (cause instanceof NearvoteError && cause.code === 'encoder_invalid') await rm(part, { force: true });
    throw asHubError(cause, { origin, timeoutMs });
  } finally {
    clearTimeout(timer);
    patience.abort();
  }
}

/** Never through a link: in a cache that others write in, it may lead anywhere. */
async function openPart(part: string, start: number): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_APPEND, O_TRUNC, O_NOFOLLOW } = constants;
  const how = O_WRONLY | O_CREAT | O_NOFOLLOW | (start > 0 ? O_APPEND : O_TRUNC);
  return open(part, how).catch((cause: unknown) => {
    throw unwritable(part, cause);
  });
}

function unwritable(part: string, cause: unknown): NearvoteError {
  return new NearvoteError('output_unwritable', `Expected to write ${part} but: ${messageOf(cause)}`, {
    cause,
  });
}

interface StartOptions extends Pick<DownloadOptions, 'file' | 'settings'> {
  readonly have: number;
  readonly part: string;
}

/** At which byte of the file an answer begins. */
async function startOf(response: Response, { have, part, file, settings }: StartOptions): Promise<number> {
  const { status, headers } = response;
  if (status === 416) {
    await rm(part, { force: true });
    throw new Error('it has no bytes after those that are here');
  }
  // A storage host refuses addresses that have grown old; the next try asks the hub for a new one.
  if (!response.ok && new URL(response.url).origin !== new URL(settings.endpoint).origin) {
    throw new Error(`${new URL(response.url).origin} answered with status ${status}`);
  }
  if (!response.ok) throw refusal(response, settings);
  const [, from, , total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? [];
  if (status === 206 && Number(from) !== have) throw new Error(`it sent other bytes than those asked for`);
  const start = status === 206 ? have : 0;
  const length = headers.get('content-length');
  const announced = status === 206 && total !== '*' ? Number(total) : start + Number(length);
  if (length !== null && headers.get('content-encoding') === null && announced !== file.bytes) {
    throw larger(file, `the answer announces ${announced}`);
  }
  return start;
}

function larger({ path, bytes }: ListedFile, said: string): NearvoteError {
  return new NearvoteError(
    'encoder_invalid',
    `Expected ${bytes} bytes of ${path}, as the hub lists it, but ${said}; it is not kept`,
  );
}

function wrongDigest({ path, digest }: ListedFile): NearvoteError {
  return new NearvoteError(
    'encoder_invalid',
    `Expected ${path} with the ${digest.algorithm === 'git' ? "digest of git's listing" : 'sha256'} ${digest.hex} but received other bytes; they are not kept`,
  );
}

/** More tries would end the same. */
function isHopeless({ cause }: NearvoteError): boolean {
  const below = cause instanceof Error ? cause.cause : undefined;
  return below instanceof Error && below.message === 'redirect count exceeded';
}

/** 0 where there is none. */
async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

/** Whether a file's bytes are those of a listing. @throws the file system's own error */
export async function matches(path: string, { bytes, digest }: ListedFile): Promise<boolean> {
  if ((await sizeOf(path)) !== bytes) return false;
  const hash: Hash =
    digest.algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
  }
  return hash.digest('hex') === digest.hex;
}
