import fc from 'fast-check';

/** One request, byte for byte. */
export interface FuzzRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly bytes: Buffer;
  /**
   * Whether the server gets to see a whole request and owes an answer; it does not where the client announces more
   * than it sends. `unknown` where the head itself is damaged.
   */
  readonly whole: 'yes' | 'no' | 'unknown';
}

type Headers = readonly (readonly [string, string])[];

interface Parts {
  readonly method?: string;
  readonly target: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** A request whose framing is right: Content-Length is the body's. */
export function requestOf({ method = 'POST', target, headers, body }: Parts): FuzzRequest {
  const all: Headers = [['Host', 'localhost'], ...headers, ['Content-Length', String(body.length)]];
  const head = headText(`${method} ${target} HTTP/1.1`, all);
  return { method, target, bytes: Buffer.concat([head, body]), whole: 'yes' };
}

function headText(line: string, headers: Headers): Buffer {
  return Buffer.from(`${[line, ...headers.map((pair) => pair.join(': '))].join('\r\n')}\r\n\r\n`, 'latin1');
}

export const goodTarget = fc.constantFrom(
  '/classify',
  '/classify?k=1',
  '/classify?vote=majority&neighbours=0',
  '/embed',
);
