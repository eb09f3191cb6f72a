import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { errorCodes, messageOf, NearvoteError, systemCodeOf, type ErrorCode } from '../domain/errors.js';

export interface ServerConnectionOptions {
  /** Of the server; a path in it is one that a proxy puts before the server's own. */
  readonly url: string;
  /** One of the server's keys, where it has any. */
  readonly key?: string | undefined;
  /** The variable that holds it, for messages; NEARVOTE_API_KEY unless told. */
  readonly keyName?: string | undefined;
  /** How long an answer may take unless a request says otherwise; 2 minutes unless told. */
  readonly timeoutMs?: number | undefined;
  /** Of one answer; 128 MiB unless told. */
  readonly mostAnswerBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a nearvote server said to a request. */
export type Reply =
  | { readonly kind: 'answered'; readonly body: unknown }
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly code: ErrorCode;
      readonly detail: string;
      readonly retryAfterMs?: number;
      /** Set where it is not the server that says so, but what is before it. */
      readonly proxyStatus?: number;
    }
  /** What no nearvote says. */
  | { readonly kind: 'foreign'; readonly status: number; readonly what: string }
  /** There was none: the connection failed or ended. */
  | { readonly kind: 'lost'; readonly reason: string };

/** A body as it is sent. */
export interface EncodedBody {
  readonly bytes: ArrayBuffer | string;
  readonly contentType: string;
}

/** How a request is sent, unless it is a GET. */
export interface Sending {
  /** POST where there is a body. */
  readonly method?: 'POST' | undefined;
  readonly body?: EncodedBody | undefined;
  readonly timeoutMs?: number | undefined;
}

/**
 * Encodes a form in one piece: fetch sends a form bit by bit, and stops in the middle where the answer comes before its
 * end, as a refusal does, which leaves the server to wait for the rest.
 */
export async function encodeForm(form: FormData): Promise<EncodedBody> {
  const encoded = new Response(form);
  return { contentType: encoded.headers.get('content-type') ?? '', bytes: await encoded.arrayBuffer() };
}

export interface ServerConnection {
  /** As it may be shown. */
  readonly url: string;
  readonly hasKey: boolean;
  readonly keyName: string;
  /** @throws the signal's reason where that is aborted */
  ask(path: string, sending?: Sending): Promise<Reply>;
  /** An answer that is read as it comes, to a body that is sent as it is read; what is refused is a reply. */
  open(path: string, opening: OpeningRequest): Promise<Response | Reply>;
}

interface OpeningRequest {
  readonly method?: 'POST' | undefined;
  readonly body?: ReadableStream | undefined;
}

const problemSchema = z.looseObject({
  status: z.int(),
  code: z.string(),
  title: z.string().optional(),
  detail: z.string().optional(),
});

/** A server's own --request-timeout is shorter, unless somebody wants it so. */
const usualTimeoutMs = 120_000;
/** Whatever a server says, it is asked again after this long. */
const longestWaitMs = 60_000;
/** A nearvote's longest answer names every label of its index. */
const mostAnswerBytes = 128 * 1024 * 1024;

/** @throws NearvoteError `usage` for an address that is none or holds a password, and for what can be no key */
export function createServerConnection(options: ServerConnectionOptions): ServerConnection {
  const { url, key, keyName = 'NEARVOTE_API_KEY', signal, timeoutMs: usual = usualTimeoutMs } = options;
  const base = baseOf(url);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (key !== undefined) {
    // What fetch says of a header that is none repeats it.
    if (!/^[\x21-\x7e]+$/.test(key)) {
      throw new NearvoteError(
        'usage',
        `Expected a key of printable characters without spaces in ${keyName} but received another`,
      );
    }
    headers.authorization = `Bearer ${key}`;
  }

  async function ask(path: string, { method, body, timeoutMs = usual }: Sending = {}): Promise<Reply> {
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let text: string | undefined;
    try {
      response = await fetch(new URL(path, base), {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        ...(body === undefined ? {} : { body: body.bytes }),
        headers: body === undefined ? headers : { ...headers, 'content-type': body.contentType },
        // A key is for this server alone.
        redirect: 'manual',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      text = await readText(response, options.mostAnswerBytes ?? mostAnswerBytes);
    } catch (error) {
      signal?.throwIfAborted();
      return { kind: 'lost', reason: reasonOf(error, timeoutMs) };
    }
    if (text === undefined)
      return { kind: 'foreign', status: response.status, what: 'an answer without end' };
    return replyOf(response, parseJson(text));
  }
  async function openAnswer(path: string, { method, body }: OpeningRequest): Promise<Response | Reply> {
    try {
      const response = await fetch(new URL(path, base), {
        ...{ method: method ?? 'GET', redirect: 'manual', signal: signal ?? null },
        headers: body === undefined ? headers : { ...headers, 'content-type': 'application/x-tar' },
        ...(body === undefined ? {} : { body, duplex: 'half' }),
      });
      if (response.ok) return response;
      return replyOf(response, parseJson((await readText(response, mostAnswerBytes)) ?? ''));
    } catch (error) {
      signal?.throwIfAborted();
      return { kind: 'lost', reason: reasonOf(error, usual) };
    }
  }
  return { url: base.href, hasKey: key !== undefined, keyName, ask, open: openAnswer };
}

/** Undefined where it is longer; the rest is not waited for. */
async function readText({ body }: Response, mostBytes: number): Promise<string | undefined> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += piece.byteLength;
    if (bytes > mostBytes) return undefined;
    pieces.push(piece);
  }
  return new TextDecoder().decode(Buffer.concat(pieces));
}

function replyOf(response: Response, body: unknown): Reply {
  if (response.ok && body !== undefined) return { kind: 'answered', body };
  const { data: problem } = problemSchema.safeParse(body);
  if (problem !== undefined && response.status >= 400) {
    return {
      kind: 'refused',
      status: response.status,
      code: errorCodes.find((code) => code === problem.code) ?? 'server_refused',
      detail: problem.detail ?? problem.title ?? problem.code,
      ...retryAfterOf(response),
    };
  }
  // A proxy before the server has no other words for a server that is starting or full.
  if ([429, 502, 503, 504].includes(response.status)) {
    return {
      ...{ kind: 'refused', status: 503, code: 'not_ready', detail: `status ${response.status}` },
      proxyStatus: response.status,
      ...retryAfterOf(response),
    };
  }
  const { status } = response;
  const type = response.headers.get('content-type')?.split(';')[0] ?? 'no content type';
  const to = response.headers.get('location');
  const what = to === null ? ` and ${type}` : `, which leads to ${to}`;
  return { kind: 'foreign', status, what: `status ${status}${what}` };
}

/** The error of what answers and is no nearvote. */
export function foreign(url: string, { what }: Extract<Reply, { readonly kind: 'foreign' }>): NearvoteError {
  return new NearvoteError(
    'server_refused',
    `Expected a nearvote server at ${url} but it answered with ${what}`,
  );
}

function retryAfterOf({ headers }: Response): { readonly retryAfterMs?: number } {
  const seconds = Number(headers.get('retry-after') ?? NaN);
  return seconds >= 0 ? { retryAfterMs: Math.min(seconds * 1_000, longestWaitMs) } : {};
}

function baseOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new NearvoteError('usage', 'Expected --server to be an address such as http://127.0.0.1:8080');
  }
  if (url.username !== '' || url.password !== '') {
    // It is not repeated: others may read what is said.
    throw new NearvoteError(
      'usage',
      'Expected --server without a user or password in it; a key goes in NEARVOTE_API_KEY or NEARVOTE_ADMIN_KEY',
    );
  }
  url.search = url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer in ${timeoutMs / 1_000} s`;
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = systemCodeOf(cause);
  return code === 'unknown error' ? messageOf(cause) : code;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export interface RetryOptions {
  /** How often it is asked again. */
  readonly retries: number;
  readonly signal?: AbortSignal | undefined;
  /** In milliseconds, before the n-th repetition of a request that nobody said when to repeat. */
  readonly pauseMs: (n: number) => number;
}

/** Whether the same request may be answered later. */
export function mayPass(reply: Reply): boolean {
  return reply.kind === 'lost' || (reply.kind === 'refused' && [429, 503].includes(reply.status));
}

/**
 * Waits as long as a server says, or longer each time where it says nothing.
 * @throws the signal's reason where that is aborted
 */
export async function pause(reply: Reply, attempt: number, { pauseMs, signal }: RetryOptions): Promise<void> {
  const told = reply.kind === 'refused' ? reply.retryAfterMs : undefined;
  await sleep(told ?? Math.min(pauseMs(attempt), longestWaitMs), undefined, { signal });
}
