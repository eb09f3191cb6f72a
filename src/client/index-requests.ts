import type { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import {
  foreign,
  mayPass,
  pause,
  type Reply,
  type RetryOptions,
  type Sending,
  type ServerConnection,
} from './server-connection.js';

/** Asks one index of a server. */
export interface IndexRequests {
  readonly connection: ServerConnection;
  /**
   * Asks until it is answered or refused for good: what a server refuses for now, it is asked again when it says.
   * @throws NearvoteError with the server's own code and message; `server_unreachable`, `server_refused`
   */
  ask<T>(path: string, schema: z.ZodType<T>, sending?: Asking): Promise<T>;
  /** The same, but a refusal for good is given back. */
  tell(
    path: string,
    sending?: Asking,
  ): Promise<Refused | { readonly kind: 'answered'; readonly body: unknown }>;
  /** What was answered. @throws NearvoteError `server_refused` where it is something else */
  read<T>(body: unknown, schema: z.ZodType<T>, sending?: Asking): T;
  /**
   * Asks once for what is no JSON, or with a body that is sent as it is read.
   * @throws NearvoteError with the server's own code and message; `server_unreachable`, `server_refused`
   */
  open(path: string, opening?: Opening): Promise<Response>;
  refusal(reply: Reply, sending?: Asking): NearvoteError;
  /** Of an answer that is none to what was asked. */
  strange(sending?: Asking): NearvoteError;
}

export interface Asking extends Sending {
  /** Of the address, beside the index. */
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
}

interface Opening extends Pick<Asking, 'method' | 'query'> {
  readonly body?: ReadableStream | undefined;
}

export type Refused = Extract<Reply, { readonly kind: 'refused' }>;

export interface IndexRequestsOptions {
  readonly connection: ServerConnection;
  /** By name; the server's first unless told. */
  readonly index?: string | undefined;
  readonly retry: RetryOptions;
}

export function createIndexRequests({ connection, index, retry }: IndexRequestsOptions): IndexRequests {
  const { url } = connection;
  const looking = `nearvote index log --server ${url}${index === undefined ? '' : ` --index ${index}`}`;
  const perhaps = `. The change may have been made: ${looking} shows it`;
  const isChange = ({ method, body }: Asking): boolean => method === 'POST' || body !== undefined;

  function refusal(reply: Reply, sending: Asking = {}): NearvoteError {
    const { code, message } = refusalOf(reply, connection);
    return new NearvoteError(code, isChange(sending) && mayBeMade(reply) ? `${message}${perhaps}` : message);
  }

  function addressOf(path: string, more: Asking['query']): string {
    const query = new URLSearchParams();
    const asked: Asking['query'] = { index, ...more };
    for (const [name, value] of Object.entries(asked)) {
      if (value !== undefined) query.set(name, String(value));
    }
    return query.size === 0 ? path : `${path}?${query.toString()}`;
  }

  async function tell(
    path: string,
    sending: Asking = {},
  ): Promise<Refused | { readonly kind: 'answered'; readonly body: unknown }> {
    const address = addressOf(path, sending.query);
    for (let attempt = 0; ; attempt++) {
      const reply = await connection.ask(address, sending);
      if (reply.kind === 'answered') return reply;
      if (reply.kind !== 'refused') throw refusal(reply, sending);
      if (!mayPass(reply) || (isChange(sending) && mayBeMade(reply)) || attempt === retry.retries)
        return reply;
      await pause(reply, attempt, retry);
    }
  }

  function strange(sending: Asking = {}): NearvoteError {
    return new NearvoteError(
      'server_refused',
      `Expected ${url} to answer as this nearvote does but it says something else: it may be another version${isChange(sending) ? perhaps : ''}`,
    );
  }

  function read<T>(body: unknown, schema: z.ZodType<T>, sending: Asking = {}): T {
    const { data, success } = schema.safeParse(body);
    if (success) return data;
    throw strange(sending);
  }

  return {
    ...{ connection, tell, read, refusal, strange },
    open: async (path, { query, ...opening } = {}) => {
      const opened = await connection.open(addressOf(path, query), opening);
      if (opened instanceof Response) return opened;
      throw refusal(opened, opening.method === undefined ? {} : { method: opening.method });
    },
    ask: async (path, schema, sending = {}) => {
      const reply = await tell(path, sending);
      if (reply.kind === 'refused') throw refusal(reply, sending);
      return read(reply.body, schema, sending);
    },
  };
}

/** Nobody was there to hear of it. */
const neverHeard =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|bad port|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_)/;
/** A server may say so after a change was made. */
const saidTooLate: ReadonlySet<string> = new Set(['timed_out', 'worker_failed', 'internal', 'shutting_down']);
/** A proxy may say so of a server that is at work. */
const ofGateways: ReadonlySet<number> = new Set([502, 504]);

function mayBeMade(reply: Reply): boolean {
  if (reply.kind === 'lost') return !neverHeard.test(reply.reason);
  if (reply.kind === 'foreign') return reply.status < 300 || reply.status >= 500;
  if (reply.kind === 'answered') return true;
  return reply.proxyStatus === undefined ? saidTooLate.has(reply.code) : ofGateways.has(reply.proxyStatus);
}

function refusalOf(reply: Reply, { url, hasKey, keyName }: ServerConnection): NearvoteError {
  if (reply.kind === 'foreign') return foreign(url, reply);
  if (reply.kind !== 'refused') {
    const reason = reply.kind === 'lost' ? reply.reason : 'no answer';
    return new NearvoteError(
      'server_unreachable',
      neverHeard.test(reason)
        ? `Expected a nearvote server at ${url} but it cannot be reached (${reason})`
        : `Expected an answer from ${url} but it was lost (${reason})`,
    );
  }
  const { code, status, detail, proxyStatus } = reply;
  if (code === 'unauthorized') {
    const isAdmins = keyName === 'NEARVOTE_ADMIN_KEY';
    const why = !hasKey
      ? 'none is set'
      : isAdmins
        ? 'its admin key is another'
        : `the key in ${keyName} is not its admin key`;
    return new NearvoteError(code, `Expected the admin key of ${url} in NEARVOTE_ADMIN_KEY but ${why}`);
  }
  if (code === 'not_found' || code === 'method_not_allowed') {
    const why = detail.includes('NEARVOTE_ADMIN_KEY')
      ? `it was started without an admin key: ${detail}`
      : `it has no such route; it may be an older nearvote, or one of another path: ${detail}`;
    return new NearvoteError(code, `Expected ${url} to do so but ${why}`);
  }
  const said =
    proxyStatus === undefined && code !== 'server_refused' ? detail : `status ${status}, ${detail}`;
  return new NearvoteError(code, `${url} refuses: ${said}`);
}
