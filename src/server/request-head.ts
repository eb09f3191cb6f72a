import type { IncomingMessage } from 'node:http';

import { NearvoteError } from '../domain/errors.js';
import { malformed } from './body.js';
import { quoted } from '../domain/quoted.js';

/** Names a server on a loopback address is asked by; a page elsewhere may only make its own name point there. */
const loopbackNames = ['localhost', '127.0.0.1', '[::1]'];
const mostHeaders = 200;

/**
 * The hosts that a server answers to unless told: where it listens on a loopback address and asks for no key, only
 * the names of that, or any page could read it by DNS rebinding; else any.
 */
export function defaultAllowedHosts(host: string, asksForKeys: boolean): readonly string[] | undefined {
  const name = host.includes(':') ? `[${host}]` : host.toLowerCase();
  const isLoopback = loopbackNames.includes(name) || name.startsWith('127.');
  return isLoopback && !asksForKeys ? [...loopbackNames, name] : undefined;
}

/**
 * Refuses what two readers could read differently, and a host that is not of this server.
 * @throws NearvoteError `request_malformed`, `host_not_allowed`
 */
export function checkHead(req: IncomingMessage, allowedHosts: readonly string[] | undefined): void {
  const { rawHeaders, headers } = req;
  if (rawHeaders.length > 2 * mostHeaders) {
    throw malformed(`Expected at most ${mostHeaders} headers but received ${rawHeaders.length / 2}`);
  }
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) throw malformed(`Expected one Host header but received ${hosts}`);
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    throw malformed(`Expected Transfer-Encoding chunked but received ${quoted(coding)}`);
  }
  const { host } = headers;
  if (host === undefined) {
    // RFC 9112, 3.2.
    if (req.httpVersion === '1.1') throw malformed('Expected a Host header but received none');
    return;
  }
  if (allowedHosts === undefined) return;
  if (!allowedHosts.includes(host.replace(/:\d*$/, '').toLowerCase())) {
    throw new NearvoteError(
      'host_not_allowed',
      `Expected a Host that this server is told to answer to but received ${quoted(host)}; see --allowed-hosts`,
    );
  }
}
