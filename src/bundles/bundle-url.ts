import { BlockList } from 'node:net';
import { fileURLToPath } from 'node:url';
import { messageOf, NearvoteError } from '../domain/errors.js';

interface Located {
  readonly url: URL;
  /** What may be shown of it: a query may hold a signature. */
  readonly shown: string;
}

/** A bundle that is called by its sha256, wherever it lies. */
export interface BundleUrl extends Located {
  readonly kind: 'bundle';
  /** Of the whole file, lower-case hex. */
  readonly sha256: string;
}

/** A small text that names the bundle to serve now. */
export interface PointerUrl extends Located {
  readonly kind: 'pointer';
}

export interface UrlRules {
  /** http to any host; to this machine it is always allowed. */
  readonly allowHttp: boolean;
}

const schemes = /^(?:https?|s3|file):\/\//i;

/** Whether an index was named by where its bundle lies. */
export const isBundleUrl = (text: string): boolean => schemes.test(text);

/**
 * What `--index` names by a URL: `…#sha256:HEX` is a bundle, and a name that ends in `.pointer` is a pointer.
 * @throws NearvoteError `usage`, which shows no query and no password
 */
export function parseIndexSource(text: string, rules: UrlRules): BundleUrl | PointerUrl {
  const { url, shown, sha256 } = parseLocated(text, rules);
  if (sha256 !== undefined) return { kind: 'bundle', url, shown, sha256 };
  if (url.pathname.endsWith('.pointer')) return { kind: 'pointer', url, shown };
  const inName = /-([0-9a-f]{64})\.tar$/.exec(url.pathname)?.[1];
  throw new NearvoteError(
    'usage',
    `Expected the sha256 of the bundle after its URL: ${shown}#sha256:${inName ?? 'HEX'}, which nearvote index export and sha256sum print; or the URL of a pointer, whose name ends in .pointer`,
  );
}

/**
 * Any file that is told with its sha256.
 * @throws NearvoteError `usage`
 */
export function parseDigestUrl(text: string, rules: UrlRules): BundleUrl {
  const { url, shown, sha256 } = parseLocated(text, rules);
  if (sha256 !== undefined) return { kind: 'bundle', url, shown, sha256 };
  throw new NearvoteError('usage', `Expected a sha256 after the URL: ${shown}#sha256:HEX`);
}

/**
 * What a pointer says: one line, the URL of a bundle with its sha256, from the pointer's own where it is a relative one.
 * @throws NearvoteError `bundle_invalid`
 */
export function parsePointer(text: string, pointer: PointerUrl, rules: UrlRules): BundleUrl {
  const line = text.trim();
  const wrong = (why: string): NearvoteError =>
    new NearvoteError(
      'bundle_invalid',
      `Expected ${pointer.shown} to be one line, the URL of a bundle and #sha256:HEX, but ${why}`,
    );
  // A parser of URLs drops control characters.
  if (line === '' || /[\s\p{Cc}]/u.test(line)) throw wrong(line === '' ? 'it is empty' : 'there is more');
  if (!URL.canParse(line, pointer.url.href)) throw wrong('it is no URL');
  if (!line.includes('#')) throw wrong('there is no #sha256:HEX');
  const url = new URL(line, pointer.url);
  const { href, protocol } = url;
  // Whoever writes a pointer elsewhere is to read no files here.
  if (protocol === 'file:' && pointer.url.protocol !== 'file:')
    throw wrong('it names a file of this machine');
  if (leadsInside(pointer.url, url)) throw wrong(`it leads to this machine: ${shownOf(url)}`);
  try {
    return parseDigestUrl(href, rules);
  } catch (error) {
    throw wrong(messageOf(error));
  }
}

function parseLocated(text: string, { allowHttp }: UrlRules): Located & { readonly sha256?: string } {
  if (!isBundleUrl(text) || !URL.canParse(text)) {
    throw new NearvoteError('usage', 'Expected a URL that begins with https://, s3:// or file://');
  }
  const url = new URL(text);
  const { hash } = url;
  url.hash = '';
  if (url.username !== '' || url.password !== '') {
    url.username = url.password = '';
    throw new NearvoteError('usage', `Expected no user and password in the URL ${shownOf(url)}`);
  }
  const shown = shownOf(url);
  checkScheme(url, { allowHttp });
  if (url.protocol === 's3:' && (url.host === '' || url.pathname.length < 2)) {
    throw new NearvoteError('usage', `Expected s3://BUCKET/KEY but received ${shown}`);
  }
  if (url.protocol === 'file:' && url.host !== '') {
    throw new NearvoteError('usage', `Expected three slashes, file:///FOLDER/FILE, but received ${shown}`);
  }
  checkPath(url);
  if (hash === '') return { url, shown };
  const sha256 = /^#sha256:([0-9a-f]{64})$/i.exec(hash)?.[1]?.toLowerCase();
  if (sha256 === undefined) {
    throw new NearvoteError('usage', `Expected #sha256: and 64 hexadecimal digits after ${shown}`);
  }
  return { url, shown, sha256 };
}

/** @throws NearvoteError `usage` for a path that cannot be decoded */
function checkPath(url: URL): void {
  try {
    const path = url.protocol === 'file:' ? fileURLToPath(url) : decodeURIComponent(url.pathname);
    if (!path.includes('\0')) return;
  } catch {
    // As below.
  }
  throw new NearvoteError('usage', `Expected a path that can be decoded but received ${shownOf(url)}`);
}

/** This machine, and what is on the same wire: there clouds tell a machine its credentials. */
const inside = new BlockList();
inside.addSubnet('0.0.0.0', 8);
inside.addSubnet('127.0.0.0', 8);
inside.addSubnet('169.254.0.0', 16);
inside.addSubnet('::', 127, 'ipv6');
inside.addSubnet('fe80::', 10, 'ipv6');

/**
 * Whether a pointer or a redirect of another machine leads to this one: whoever writes it is to reach nothing that only
 * this machine reaches. Names are not looked up.
 */
export function leadsInside(from: URL, to: URL): boolean {
  const isInside = ({ protocol, hostname }: URL): boolean => {
    if (protocol === 'file:') return true;
    const host = hostname.replace(/^\[|\]$/g, '');
    if (/^(?:.+\.)?localhost\.?$/.test(host)) return true;
    return inside.check(host, 'ipv4') || inside.check(host, 'ipv6');
  };
  return isInside(to) && !isInside(from);
}

const ownHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** @throws NearvoteError `usage` for http to another machine, unless that is allowed */
export function checkScheme(url: URL, { allowHttp }: UrlRules): void {
  if (url.protocol !== 'http:' || allowHttp || ownHosts.has(url.hostname)) return;
  throw new NearvoteError(
    'usage',
    `Expected https but received ${shownOf(url)}; --allow-http allows it: whoever is on the way sees what is fetched`,
  );
}

/** Without the query, which may hold a signature. */
export const shownOf = ({ protocol, host, pathname }: URL): string => `${protocol}//${host}${pathname}`;

/** The name of an index whose bundle or pointer is called so: `photos-SHA256.tar` and `photos.pointer` are photos. */
export function nameOfUrl({ url }: Located): string {
  const file = decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
  return file.replace(/(?:-[0-9a-f]{64})?\.tar$|\.pointer$/, '');
}
