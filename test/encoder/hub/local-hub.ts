import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { HubSettings } from '../../../src/encoder/hub/settings.js';

export const commits = ['1', '2'].map((digit) => digit.repeat(40)) as [string, string];

interface Seen {
  readonly host: 'hub' | 'storage';
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

type Versions = Map<string, PutOptions & { readonly files: Map<string, Buffer> }>;
type Answer = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface LocalHub {
  readonly url: string;
  readonly requests: Seen[];
  /** What a repository's main branch holds, by commit; a branch leads to the first unless moved. */
  put(files: Readonly<Record<string, Uint8Array | string>>, options?: PutOptions): void;
  /** The commit that main is at from now on. */
  moveTo(commit: string): void;
  /** Answers a request before the hub does; true where it has. */
  answerFirst(host: Seen['host'], answer: Answer): void;
  /** Requests of one host to a path that ends so. */
  seen(host: Seen['host'], end: string): Seen[];
}

interface PutOptions {
  readonly repository?: string;
  readonly commit?: string;
  /** Instead of what a file is, by its path. */
  readonly listedAs?: Readonly<
    Record<string, { readonly oid?: string; readonly size?: number; readonly path?: string }>
  >;
  readonly gated?: boolean;
}

/**
 * A hub on this machine with the layout of the real one: an API, `resolve` that redirects what LFS keeps to a storage host
 * of another origin, and Range there.
 */
export async function localHub(): Promise<LocalHub> {
  const requests: Seen[] = [];
  const repositories = new Map<string, Versions>();
  const first: Record<Seen['host'], Answer[]> = { hub: [], storage: [] };
  let head = commits[0];
  const storageUrl = await listen((request, response) => answer('storage', request, response));
  const url = await listen((request, response) => answer('hub', request, response));

  function answer(host: Seen['host'], request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    const { range, authorization } = request.headers;
    requests.push({ host, path, range, authorization });
    if (first[host].some((one) => one(request, response))) return;
    if (host === 'storage') return store(request, response);
    const [, api, list, repository = '', rest = ''] =
      /^\/(?:(api)\/(models)\/)?([^/]+\/[^/?]+)\/?(.*)$/.exec(path) ?? [];
    const versions = repositories.get(repository);
    if (versions === undefined) return refuse(response, { status: 401, code: 'RepoNotFound' });
    const isGated = [...versions.values()].some(({ gated }) => gated === true);
    if (api !== undefined && list !== undefined && rest.startsWith('revision/'))
      return model(response, { versions, rest });
    if (isGated && authorization !== 'Bearer allowed-by-a-mirror') {
      return refuse(response, { status: authorization === undefined ? 401 : 403, code: 'GatedRepo' });
    }
    if (rest.startsWith('tree/')) return tree(response, { versions, rest });
    if (rest.startsWith('resolve/')) return resolve(response, { versions, rest, request });
    refuse(response, { status: 404, code: 'EntryNotFound' });
  }

  interface Part {
    readonly versions: Versions;
    readonly rest: string;
  }

  function model(response: ServerResponse, { versions, rest }: Part): void {
    const revision = decodeURIComponent(/^revision\/([^?]+)/.exec(rest)?.[1] ?? '');
    const sha = ['main', 'HEAD'].includes(revision) ? head : revision;
    if (!versions.has(sha) && sha !== head)
      return refuse(response, { status: 404, code: 'RevisionNotFound' });
    json(response, {
      _id: 'x',
      id: 'owner/tiny',
      sha,
      gated: false,
      private: false,
      cardData: { license: 'mit' },
    });
  }

  function tree(response: ServerResponse, { versions, rest }: Part): void {
    const [, commit = ''] = /^tree\/([^/?]+)/.exec(rest) ?? [];
    const version = versions.get(commit);
    if (version === undefined) return refuse(response, { status: 404, code: 'RevisionNotFound' });
    const entries = [...version.files].map(([path, bytes]) => {
      const said = version.listedAs?.[path] ?? {};
      const { size = bytes.length } = said;
      const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      const lfs = { oid: said.oid ?? sha256(bytes), size, pointerSize: 130 };
      return { type: 'file', path: said.path ?? path, size, oid, ...(isLfs(path) && { lfs }) };
    });
    json(response, [{ type: 'directory', path: 'onnx', size: 0, oid: '0'.repeat(40) }, ...entries]);
  }

  function resolve(
    response: ServerResponse,
    { versions, rest, request }: Part & { request: IncomingMessage },
  ): void {
    const [, commit = '', path = ''] = /^resolve\/([^/]+)\/(.+)$/.exec(decodeURIComponent(rest)) ?? [];
    const bytes = versions.get(commit)?.files.get(path);
    if (bytes === undefined) return refuse(response, { status: 404, code: 'EntryNotFound' });
    response.setHeader('X-Repo-Commit', commit);
    if (!isLfs(path)) return send(response, { bytes, request });
    response.setHeader('X-Linked-Etag', `"${sha256(bytes)}"`);
    response.setHeader('X-Linked-Size', bytes.length);
    response.writeHead(302, { location: `${storageUrl}/${sha256(bytes)}?signature=1` });
    response.end();
  }

  function store(request: IncomingMessage, response: ServerResponse): void {
    const wanted = /^\/([0-9a-f]{64})/.exec(request.url ?? '')?.[1];
    const versions = [...repositories.values()].flatMap((one) => [...one.values()]);
    const bytes = versions.flatMap(({ files }) => [...files.values()]).find((one) => sha256(one) === wanted);
    if (bytes === undefined) return refuse(response, { status: 403, code: 'Expired' });
    send(response, { bytes, request });
  }

  return {
    url,
    requests,
    put: (files, options = {}) => {
      const { repository = 'owner/tiny', commit = commits[0] } = options;
      const versions = repositories.get(repository) ?? (new Map() as Versions);
      const bytes = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]));
      versions.set(commit, { ...options, files: bytes });
      repositories.set(repository, versions);
    },
    moveTo: (commit) => void (head = commit),
    answerFirst: (host, one) => void first[host].push(one),
    seen: (host, end) => requests.filter((one) => one.host === host && one.path.endsWith(end)),
  };
}

/** As `hubSettings` makes them, but that a lost connection is tried again at once. */
export function settingsFor(
  hub: Pick<LocalHub, 'url'>,
  cacheDir: string,
  changes: Partial<HubSettings> = {},
): HubSettings {
  return {
    ...{ endpoint: hub.url, cacheDir, offline: false },
    ...{ timeoutMs: 5_000, attempts: 3, pauseMs: 0 },
    ...changes,
  };
}

function isLfs(path: string): boolean {
  return /\.(onnx|onnx_data)$/.test(path);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, { status, code }: { status: number; code: string }): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-error-code': code });
  response.end(JSON.stringify({ error: code }));
}

function send(
  response: ServerResponse,
  { bytes, request }: { bytes: Buffer; request: IncomingMessage },
): void {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const start = Number(from ?? 0);
  const part = bytes.subarray(start);
  response.writeHead(from === undefined ? 200 : 206, {
    'content-length': part.length,
    'accept-ranges': 'bytes',
    ...(from !== undefined && { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(part);
}

/** A server on a free port, closed with the test. */
async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An address at which nobody listens any more. */
export async function nobody(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
