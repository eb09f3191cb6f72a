import { messageOf, NearvoteError } from '../../domain/errors.js';
import type { HubSettings } from './settings.js';

/** Of an answer that is JSON: the listing of the largest repositories has some megabytes. */
const mostJsonBytes = 64 * 2 ** 20;
/** A listing has a thousand entries a page; one whose every page names another would go on for ever. */
const mostRequests = 100;

/**
 * The fetch of @huggingface/hub's API calls: bounded in time and size, the token for the hub's own origin alone, and an
 * answer that is no JSON refused.
 * @throws NearvoteError `hub_refused`, `hub_unreachable`, from the function that it gives
 */
export function guardedFetch(settings: HubSettings): typeof fetch {
  const { origin } = new URL(settings.endpoint);
  let requests = 0;
  return async (input, init) => {
    if (++requests > mostRequests) {
      throw new NearvoteError(
        'hub_unreachable',
        `Expected ${origin} to list the repository in fewer than ${mostRequests} pages but it goes on`,
      );
    }
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    // The next page of a listing is where an answer says that it is.
    if (url.origin === origin && settings.token !== undefined)
      headers.set('authorization', `Bearer ${settings.token}`);
    const signal = AbortSignal.timeout(settings.timeoutMs);
    try {
      const response = await fetch(url, { ...init, headers, signal });
      if (!response.ok) throw refusal(response, settings);
      if (!/\bjson\b/.test(response.headers.get('content-type') ?? '')) {
        await response.body?.cancel();
        throw new NearvoteError(
          'hub_unreachable',
          `Expected JSON from ${url.origin} but received ${response.headers.get('content-type') ?? 'bytes without a type'}: is HF_ENDPOINT right, and is there a proxy that asks to log in?`,
        );
      }
      const body = await readBounded(response, url.origin);
      JSON.parse(body);
      return new Response(body, { headers: response.headers });
    } catch (cause) {
      throw asHubError(cause, { origin: url.origin, timeoutMs: settings.timeoutMs });
    }
  };
}

async function readBounded(response: Response, origin: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(response)) {
    bytes += chunk.length;
    if (bytes > mostJsonBytes) {
      throw new NearvoteError(
        'hub_unreachable',
        `Expected at most ${mostJsonBytes} bytes of JSON from ${origin} but there are more`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The bytes of an answer as they come. */
export function chunksOf({ body }: Response): AsyncIterable<Uint8Array> {
  // Node's streams can be iterated, which the DOM's type leaves out.
  return (body ?? []) as unknown as AsyncIterable<Uint8Array>;
}

/** What the hub says with a status, in words that say what to do. https://huggingface.co/docs/hub/models-gated */
export function refusal(response: Response, { endpoint, token }: HubSettings): NearvoteError {
  const { status, headers } = response;
  const code = headers.get('x-error-code');
  const page = pageOf(response.url, endpoint);
  void response.body?.cancel();
  if (code === 'GatedRepo' || status === 403) {
    return new NearvoteError(
      'hub_refused',
      `Expected access to ${page} but its owner asks for consent: accept the terms on that page, and set HF_TOKEN to a token of that account`,
    );
  }
  if (status === 401 || status === 404) {
    const what = code === 'RevisionNotFound' ? 'such a revision of' : 'a repository at';
    const secret =
      token === undefined
        ? 'set HF_TOKEN where it is a private one'
        : 'HF_TOKEN may be wrong, or of an account without access';
    return new NearvoteError(
      'hub_refused',
      `Expected ${what} ${page} but the hub has none (${status}); ${code === 'RevisionNotFound' ? 'its branches and tags are there' : secret}`,
    );
  }
  const wait = headers.get('retry-after');
  return new NearvoteError(
    'hub_unreachable',
    `Expected an answer from ${page} but received status ${status}${wait === null ? '' : `: try again in ${wait} seconds`}`,
  );
}

/** The page of the repository that an address of the hub belongs to. */
function pageOf(url: string, endpoint: string): string {
  const path = url.startsWith(endpoint) ? url.slice(endpoint.length) : '';
  const [, owner = '', name = ''] = /^\/(?:api\/models\/)?([^/?]+)\/([^/?]+)/.exec(path) ?? [];
  return owner === '' ? endpoint : `${endpoint}/${owner}/${name}`;
}

export interface HubErrorContext {
  readonly origin: string;
  readonly timeoutMs: number;
}

/** What fetch throws, in words: its own are `fetch failed`. */
export function asHubError(thrown: unknown, { origin, timeoutMs }: HubErrorContext): NearvoteError {
  if (thrown instanceof NearvoteError) return thrown;
  const isTimeout = thrown instanceof Error && /^(Timeout|Abort)Error$/.test(thrown.name);
  const said = isTimeout
    ? `it was silent, or all but silent, for ${timeoutMs / 1000} seconds (HF_HUB_DOWNLOAD_TIMEOUT)`
    : deepestMessage(thrown);
  return new NearvoteError('hub_unreachable', `Expected an answer from ${origin} but: ${said}`, {
    cause: thrown,
  });
}

function deepestMessage(thrown: unknown): string {
  if (!(thrown instanceof Error) || thrown.cause === undefined) return messageOf(thrown) || 'no reason given';
  const below = deepestMessage(thrown.cause);
  return below === '' ? thrown.message : below;
}
